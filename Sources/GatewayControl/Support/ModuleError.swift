import GatewayABI

/// Why a module could not be loaded or configured. The gateway that was running goes on as it was.
public struct ModuleError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What stage refused.
    public enum Kind: String, Sendable {
        /// The file cannot be read, is no shared library of this machine, or is incomplete.
        case file
        /// The loader refused it (`dlopen`), for instance for a missing dependency.
        case load
        /// It does not export `gateway_channel_open`.
        case symbol
        /// Another ABI version, or a table with pieces missing.
        case version
        /// `gateway_channel_open` said no, or took longer than its deadline.
        case open
        /// It says another id than the manifest.
        case identity
    }

    /// What stage refused.
    public var kind: Kind
    /// What happened.
    public var problem: String
    /// The file or key path concerned.
    public var place: String
    /// What the operator can do.
    public var remedy: String

    /// An error with all it takes to act on it.
    public init(_ kind: Kind, _ problem: String, place: String, remedy: String) {
        self.kind = kind
        self.problem = problem
        self.place = place
        self.remedy = remedy
    }

    /// Place, problem and remedy in one line.
    public var description: String { GatewayError.sentences("\(place): \(problem)", remedy) }
}

/// How a request to a module ended when it did not end with `GATEWAY_OK`.
public struct ModuleRefusal: Error, Equatable, Sendable, CustomStringConvertible {
    /// The codes of `gateway_channel.h`, and two of the host's own.
    public enum Kind: String, Sendable {
        /// The request itself is wrong.
        case invalid
        /// Tried, and finally refused by the chat system.
        case failed
        /// Not now; the same request may succeed later.
        case unavailable
        /// The instance is shutting down.
        case shutDown
        /// The module did not answer in time.
        case timedOut
        /// The host gave up waiting because it is stopping.
        case cancelled
    }

    /// The code, of `gateway_channel.h` or of the host.
    public var kind: Kind
    /// What happened, in the module's words.
    public var problem: String
    /// Account, guild, channel, file or key path.
    public var place: String
    /// What the operator can do.
    public var remedy: String
    /// Every finding, where the module listed several.
    public var findings: [String]

    /// A refusal with what the module said.
    public init(_ kind: Kind, _ problem: String, place: String = "", remedy: String = "", findings: [String] = []) {
        self.kind = kind
        self.problem = problem
        self.place = place
        self.remedy = remedy
        self.findings = findings
    }

    /// Place, problem and remedy in one line.
    public var description: String {
        GatewayError.sentences(place.isEmpty ? problem : "\(place): \(problem)", remedy)
    }
}
