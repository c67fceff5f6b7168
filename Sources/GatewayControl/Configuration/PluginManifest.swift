import GatewayABI
import JSONBytes

/// `plugin.json`: what a plugin says of itself before any of its code runs.
public struct PluginManifest: Equatable, Sendable {
    /// The plugin's id, and that of its module.
    public var id: String
    /// What people call it; the id if it says nothing.
    public var name: String
    /// The plugin's semantic version; the running module says its own.
    public var version: String
    /// The version of `gateway_channel.h` that the module was built for.
    public var abiVersion: Int64
    /// The shared library, absolute.
    public var modulePath: String
    /// The program that sets the plugin up, absolute; `nil` if there is none.
    public var setupEntry: String?
    /// The channels it serves.
    public var channels: [String]
    /// A JSON Schema of `channels.<id>`.
    public var configSchema: JSONValue?
    /// Where this was read from.
    public var path: String

    /// Reads a manifest; paths in it are relative to it.
    /// - Throws: `ModuleError` with the first thing that is wrong.
    public init(path: String) throws(ModuleError) {
        func refuse(_ problem: String, _ remedy: String) -> ModuleError {
            ModuleError(.file, problem, place: path, remedy: remedy)
        }
        let bytes: [UInt8]
        do {
            bytes = try Files.read(path, limit: 4 << 20)
        } catch {
            throw refuse("the manifest cannot be read (\(error))", "Check plugins.<id>.manifest in the configuration")
        }
        let tree: JSONValue
        do {
            tree = try JSONValue(parsing: bytes)
        } catch {
            throw refuse("the manifest is not JSON (\(error))", "Correct it, or install the plugin again")
        }
        guard tree.object != nil else { throw refuse("the manifest is not an object", "Install the plugin again") }
        func text(_ key: String) throws(ModuleError) -> String {
            guard let value = tree[key]?.string, !value.isEmpty else {
                throw refuse("“\(key)” must be a text that is not empty", "Add it, or install the plugin again")
            }
            return value
        }
        id = try text("id")
        // The id becomes part of file names.
        guard
            id.utf8.allSatisfy({ ($0 | 32 >= 97 && $0 | 32 <= 122) || ($0 >= 48 && $0 <= 57) || $0 == 45 || $0 == 95 })
        else { throw refuse("“id” may hold only letters, digits, - and _", "Correct it") }
        name = tree["name"]?.string ?? id
        version = try text("version")
        guard try text("kind") == "channel" else {
            throw refuse("“kind” is not “channel”", "This gateway loads channel plugins only")
        }
        guard let abi = tree["abiVersion"]?.int else {
            throw refuse("“abiVersion” must be a whole number", "Install the plugin again")
        }
        guard abi == Int64(GATEWAY_ABI_VERSION) else {
            throw ModuleError(
                .version, "the plugin is for ABI version \(abi), this gateway speaks \(GATEWAY_ABI_VERSION)",
                place: path,
                remedy: "Install the plugin that belongs to this gateway")
        }
        abiVersion = abi
        let directory = Files.parent(of: Files.resolve(path, in: Files.workingDirectory()))
        modulePath = Files.resolve(try text("module"), in: directory)
        setupEntry = tree["setupEntry"]?.string.map { Files.resolve($0, in: directory) }
        channels = tree["channels"]?.texts ?? []
        guard !channels.isEmpty else { throw refuse("“channels” must list at least one channel", "Add it") }
        configSchema = tree["configSchema"]
        self.path = path
    }
}
