// swift-tools-version: 6.1
import PackageDescription

// What the libraries need not (SocketIO, HTTPTransfer, JSONBytes) hangs on a trait: with `traits: []` they alone are there, and
// no other package is fetched for them. The trait is on by default, so that nobody who works on this names it.
let fabric = TargetDependencyCondition.when(traits: ["Fabric"])
let log = Target.Dependency.product(name: "Logging", package: "swift-log", condition: fabric)
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let arguments = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser", condition: fabric)

// What `./setup install --with-runtime` puts beside the products is found there, wherever the folder goes.
let besideIt = LinkerSetting.unsafeFlags(["-Xlinker", "-rpath", "-Xlinker", "$ORIGIN/runtime"])

let package = Package(
    name: "fabric-channel",
    products: [
        .library(name: "SocketIO", targets: ["SocketIO"]),
        .library(name: "JSONBytes", targets: ["JSONBytes"]),
        .library(name: "HTTPTransfer", targets: ["HTTPTransfer"]),
        .library(name: "FabricSimulator", targets: ["FabricSimulator"]),
        .library(name: "FabricModule", type: .dynamic, targets: ["FabricModule"]),
        .executable(name: "gateway", targets: ["gateway"]),
        .executable(name: "fabric-setup", targets: ["fabric-setup"]),
        .executable(name: "fabric-sim", targets: ["fabric-sim"]),
        .executable(name: "fabric-demo", targets: ["fabric-demo"]),
        .executable(name: "fabric-bench", targets: ["fabric-bench"]),
    ],
    traits: [
        .default(enabledTraits: ["Fabric"]),
        .trait(name: "Fabric", description: "Plugin, gateway, tools and simulator, and the packages they need."),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.80.0"),
    ],
    targets: [
        // The plugin, from the bottom up: nothing knows what stands below it in this list.
        .target(name: "Locking"),
        .systemLibrary(name: "CThreads"),
        .target(name: "Threads", dependencies: ["CThreads"]),
        .target(name: "Timing"),
        .target(name: "CByteScan"),
        .target(name: "JSONBytes", dependencies: ["CByteScan"]),
        .target(name: "Settings", dependencies: ["JSONBytes"]),
        .target(name: "GatewayABI"),
        .target(name: "FabricVersion"),
        .target(name: "FabricAccounts", dependencies: ["Settings", "JSONBytes"]),
        .systemLibrary(
            name: "CLibWebSockets", pkgConfig: "libwebsockets", providers: [.apt(["libwebsockets-dev"])]),
        .target(
            name: "CLibWebSocketsShims", dependencies: ["CLibWebSockets"],
            linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
        .target(
            name: "SocketIO",
            dependencies: ["CByteScan", "CLibWebSocketsShims", "JSONBytes", "Locking", "Threads", "Timing"]),
        .target(name: "CLibCurl", linkerSettings: [.linkedLibrary("curl")]),
        .target(name: "HTTPTransfer", dependencies: ["CLibCurl", "Locking", "Threads", deque]),
        .target(name: "FabricAPI", dependencies: ["HTTPTransfer", "JSONBytes", "Timing"]),
        .target(name: "Sessions", dependencies: ["FabricAPI", "JSONBytes", "Locking", "Timing", deque]),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CPostgreSQL", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .target(
            name: "ChannelStore", dependencies: ["CSQLite", "CPostgreSQL", "Settings", "Locking", "Threads", "Timing"]),
        .target(name: "FabricTools", dependencies: ["Settings", "JSONBytes"]),
        .target(
            name: "FabricChannel",
            dependencies: [
                "JSONBytes", "SocketIO", "HTTPTransfer", "FabricAPI", "Sessions", "ChannelStore", "FabricAccounts",
                "FabricTools", "Settings", "Locking", "Threads", "Timing", deque, log,
            ]),
        .target(
            name: "FabricModule",
            dependencies: ["GatewayABI", "FabricChannel", "FabricVersion", "JSONBytes", log],
            exclude: ["module.map"],
            linkerSettings: [
                besideIt,
                // One exported symbol, so that two builds in one process do not mix; and a file that stays where it was
                // loaded, for the Swift runtime cannot unload code.
                .unsafeFlags([
                    "-Xlinker", "--version-script=\(Context.packageDirectory)/Sources/FabricModule/module.map",
                    "-Xlinker", "-z", "-Xlinker", "nodelete",
                    // gold keeps hidden data symbols in the dynamic table; lld does not.
                    "-use-ld=lld",
                ]),
            ]),

        // The gateway.
        .target(name: "CGatewaySystem"),
        // What a tool needs to know a gateway without being one: configuration, manifest, lock, control client.
        .target(name: "GatewayControl", dependencies: ["GatewayABI", "CGatewaySystem", "Settings", "JSONBytes"]),
        .target(
            name: "GatewayHost",
            dependencies: [
                "GatewayControl", "GatewayABI", "CGatewaySystem", "Settings", "JSONBytes", "Locking", "Threads",
                "Timing", deque, log,
            ]),
        .executableTarget(
            name: "gateway", dependencies: ["GatewayHost", "FabricVersion", arguments, log],
            linkerSettings: [
                besideIt,
                // Under the thread sanitizer its runtime is in the executable, which by itself exports only what clang
                // uses; the module needs what Swift uses too. Otherwise there is no such symbol, and nothing is exported.
                .unsafeFlags(
                    [
                        "external_read", "external_write", "external_register_tag", "external_assign_tag",
                        "ignore_thread_begin", "ignore_thread_end",
                    ].flatMap { ["-Xlinker", "--export-dynamic-symbol=__tsan_\($0)"] }),
            ]),

        // The operator's tool.
        .target(
            name: "FabricSetup",
            dependencies: [
                "FabricAccounts", "FabricAPI", "HTTPTransfer", "SocketIO", "ChannelStore", "GatewayControl", "Settings",
                "JSONBytes", "Locking", "Timing", arguments,
            ]),
        .executableTarget(name: "fabric-setup", dependencies: ["FabricSetup"], linkerSettings: [besideIt]),

        // The other side of the wire.
        .target(
            name: "FabricSimulator",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio", condition: fabric),
                .product(name: "NIOPosix", package: "swift-nio", condition: fabric),
                .product(name: "NIOHTTP1", package: "swift-nio", condition: fabric),
                .product(name: "NIOWebSocket", package: "swift-nio", condition: fabric),
            ]),
        .executableTarget(name: "fabric-sim", dependencies: ["FabricSimulator", "Threads", arguments]),
        .executableTarget(name: "fabric-demo", dependencies: ["FabricSimulator", arguments]),

        // Measurements.
        .target(
            name: "CBench", dependencies: ["CLibWebSockets", "CSQLite", "GatewayABI"], path: "Benchmarks/CBench",
            linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
        .executableTarget(
            name: "fabric-bench",
            dependencies: [
                "CBench", "ChannelStore", "GatewayABI", "Sessions", "FabricAPI", "HTTPTransfer", "FabricSimulator",
                "Locking", "GatewayControl", "JSONBytes", "SocketIO", "PostgreSQLTestServer", "gateway", arguments,
            ], path: "Benchmarks/fabric-bench"),

        // Tests.
        .executableTarget(name: "autobahn-client", dependencies: ["SocketIO"], path: "Tests/Autobahn/Client"),
        .executableTarget(name: "socketio-example", dependencies: ["SocketIO"], path: "Examples/SocketIO"),
        .testTarget(name: "JSONBytesTests", dependencies: ["JSONBytes"]),
        .testTarget(name: "SettingsTests", dependencies: ["Settings", "JSONBytes"]),
        .testTarget(name: "FabricAccountsTests", dependencies: ["FabricAccounts", "Settings", "JSONBytes"]),
        .executableTarget(
            name: "channel-store-process", dependencies: ["ChannelStore"], path: "Tests/ChannelStoreProcess"),
        .target(name: "PostgreSQLTestServer", path: "Tests/PostgreSQLTestServer"),
        .testTarget(
            name: "ChannelStoreTests",
            dependencies: [
                "ChannelStore", "channel-store-process", "CSQLite", "Locking", "PostgreSQLTestServer",
            ]),
        .testTarget(name: "SessionsTests", dependencies: ["Sessions", "FabricAPI", "JSONBytes", "Locking"]),
        .testTarget(
            name: "SocketIOTests", dependencies: ["SocketIO", "JSONBytes", "Locking", "socketio-example"],
            exclude: ["Servers"]),
        .testTarget(
            name: "FabricSetupTests",
            dependencies: [
                "FabricSetup", "fabric-setup", "FabricAccounts", "FabricAPI", "ChannelStore", "GatewayControl",
                "Settings",
                "JSONBytes", "Locking",
            ]),
        .testTarget(name: "FabricToolsTests", dependencies: ["FabricTools", "JSONBytes"]),
        .target(name: "HTTPTestServer", dependencies: ["Locking"], path: "Tests/HTTPTestServer"),
        .testTarget(name: "HTTPTransferTests", dependencies: ["HTTPTransfer", "HTTPTestServer", "Locking"]),
        // What an operator does, with the built commands and the module beside the tests.
        .testTarget(
            name: "OperatorTests",
            dependencies: [
                "FabricAccounts", "FabricChannel", "FabricSimulator", "HTTPTestServer", "HTTPTransfer",
                "PostgreSQLTestServer",
                "SocketIO", "Settings", "JSONBytes", "Locking", log,
            ]),
        .testTarget(
            name: "FabricAPITests",
            dependencies: ["FabricAPI", "HTTPTransfer", "JSONBytes", "HTTPTestServer", "Locking"]),
        .testTarget(
            name: "GatewayHostTests",
            dependencies: [
                "GatewayHost", "GatewayControl", "GatewayABI", "JSONBytes", "Locking", "Threads", "gateway",
            ],
            exclude: ["TestModule"]),
        .testTarget(name: "FabricSimulatorTests", dependencies: ["FabricSimulator"], exclude: ["Clients"]),
        .testTarget(
            name: "FabricChannelTests",
            dependencies: [
                "FabricChannel", "FabricAccounts", "ChannelStore", "FabricAPI", "JSONBytes", "GatewayHost",
                "GatewayControl", "Sessions", "SocketIO",
            ]),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "FabricChannel", "ChannelStore", "FabricSimulator", "SocketIO", "FabricAPI", "JSONBytes", "Locking",
                log,
            ]),
        .testTarget(
            name: "GatewayEndToEndTests",
            dependencies: [
                "gateway", "GatewayHost", "GatewayControl", "CGatewaySystem", "FabricSimulator", "JSONBytes", "Locking",
                "PostgreSQLTestServer",
            ], exclude: ["Clients"]),
    ],
    swiftLanguageModes: [.v6]
)

// `./setup simulate` builds the simulation alone, and the other tests of random schedules that `./setup test` runs in this
// build: in release with testability; everything else would take minutes. Names of test targets instead of 1 build these.
if let tests = Context.environment["FABRIC_SIMULATE"] {
    let names = tests == "1" ? "FabricChannelTests,SessionsTests,ChannelStoreTests" : tests
    var needed = Set(names.split(separator: ",").map(String.init))
    while true {
        let before = needed
        for target in package.targets where before.contains(target.name) {
            for case .byNameItem(let name, _) in target.dependencies { needed.insert(name) }
        }
        if needed == before { break }
    }
    package.products = []
    package.targets.removeAll { !needed.contains($0.name) }
}
