import Foundation

/// What the build put beside the test bundle.
enum Products {
    /// The build directory: where the running test bundle lies. FABRIC_PRODUCTS names another, of a release build.
    static let directory: String = {
        if let other = ProcessInfo.processInfo.environment["FABRIC_PRODUCTS"] { return other }
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let folders = ([own] + CommandLine.arguments).map { ($0 as NSString).deletingLastPathComponent }
        return folders.first { FileManager.default.isExecutableFile(atPath: $0 + "/gateway") } ?? ""
    }()
    static var gateway: String { directory + "/gateway" }
    static var module: String { directory + "/libFabricModule.so" }

    /// The package, for headers and the C host.
    static let package: String = {
        var url = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { url.deleteLastPathComponent() }
        return url.path
    }()

    /// The version in a module's file: FabricVersion keeps it in one place of 32 bytes.
    static let version = "0.1.0"

    /// Writes a copy of the module that calls itself another version: a second build, as far as anybody can see.
    static func build(version other: String, to path: String) throws {
        var bytes = try Data(contentsOf: URL(fileURLWithPath: module))
        let old = field(version)
        guard let place = bytes.range(of: old), other.utf8.count < old.count,
            bytes.range(of: old, in: place.upperBound..<bytes.endIndex) == nil
        else { throw TestFailure("the version does not stand in \(module) exactly once") }
        bytes.replaceSubrange(place, with: field(other))
        try bytes.write(to: URL(fileURLWithPath: path))
    }

    private static func field(_ version: String) -> Data {
        Data(version.utf8) + Data(count: 32 - version.utf8.count)
    }
}

struct TestFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
