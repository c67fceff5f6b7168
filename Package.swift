// swift-tools-version: 6.1
import PackageDescription


let package = Package(
    name: "fabric-channel",
    products: [
    ],
    dependencies: [
    ],
    targets: [
        // The plugin, from the bottom up: nothing knows what stands below it in this list.
        .target(name: "JSONBytes"),
        // Tests.
        .testTarget(name: "JSONBytesTests", dependencies: ["JSONBytes"]),
    ],
    swiftLanguageModes: [.v6]
)
