import ChannelStore
import FabricAPI
import FabricAccounts
import GatewayControl
import JSONBytes
import Settings

/// Everything a setup command needs from outside, so that tests can be the outside.
public struct SetupWorld: Sendable {
    /// What a running gateway said.
    public enum GatewayAnswer: Sendable, Equatable {
        /// Nobody listens in the state directory.
        case noGateway
        case result(JSONValue)
        /// It refused or did not answer; why, in words.
        case failed(String)
    }

    /// Where to log in, with what, and how deep to look.
    public struct ProbeRequest: Sendable {
        public var center: String
        /// PEM file of the authorities to trust instead of the system's.
        public var authorities: String?
        public var key: Secret
        /// Whether a socket is opened to each guild.
        public var opensSockets: Bool
        /// Called with each step before it is taken.
        public var step: @Sendable (String) -> Void = { _ in }
    }

    /// A value of the environment, nil if unset.
    public var environment: @Sendable (_ name: String) -> String?
    /// Standard input to its end or the end of the first line.
    public var readLine: @Sendable () -> String?
    /// Whether a person sits at standard input.
    public var isTerminal: Bool
    /// Asks a person; `isSecret` switches the echo off.
    public var ask: @Sendable (_ question: String, _ isSecret: Bool) -> String?
    /// A line to standard output.
    public var say: @Sendable (String) -> Void
    /// A line to standard error.
    public var complain: @Sendable (String) -> Void
    /// What is being done just now, to a person who waits; nil: it is done.
    public var progress: @Sendable (String?) -> Void
    /// The colours of standard output.
    public var palette: Palette
    /// Logs in.
    public var login: @Sendable (_ center: String, _ authorities: String?, _ key: Secret) async throws -> FabricSession
    /// Looks whether there is a Center; throws if not.
    public var greet: @Sendable (_ center: String, _ authorities: String?) async throws -> Void = { _, _ in }
    /// Logs in and looks at what is to be seen.
    public var probe: @Sendable (ProbeRequest) async throws -> SetupProbe
    /// How many seconds Center's clock is ahead of ours, by the `Date` of any answer of it; nil if it gives none.
    public var clockAhead: @Sendable (_ center: String, _ authorities: String?) async throws -> Double?
    /// Asks the gateway that runs on a state directory.
    public var askGateway: @Sendable (_ stateDirectory: String, _ request: JSONValue) -> GatewayAnswer
    /// Looks at a database that gateways share, in one of its schemas.
    public var inspectDatabase:
        @Sendable (_ address: PostgreSQLAddress, _ schema: String) async throws(StoreError) -> PostgreSQLInspection = {
            address, schema throws(StoreError) in
            throw StoreError("nobody asked it", path: address.description, remedy: "")
        }
    /// How the commands in hints are spelled.
    package var names = CommandNames()
}

extension SetupWorld {
    /// The same world, for a command about this configuration file.
    func concerning(_ file: String) -> SetupWorld {
        var world = self
        world.names = names.with(configuration: file)
        return world
    }

    /// The manifest of the plugin this tool belongs to; nil if it is not beside it.
    var ownManifest: String? {
        var path = environment("FABRIC_SETUP_MANIFEST") ?? ""
        if path.isEmpty { path = FileText.directory(of: FileText.realPath("/proc/self/exe")) + "/plugin.json" }
        return SecretPresence.system.file(path) == .absent ? nil : path
    }

    /// A line for people to standard output, its commands spelled as they would type them.
    func tell(_ line: String) { say(names.spell(line)) }

    /// The same to standard error.
    func warn(_ line: String) { complain(names.spell(line)) }
}
