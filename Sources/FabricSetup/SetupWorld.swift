import FabricAPI
import FabricAccounts
import HTTPTransfer
import Settings

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Everything a setup command needs from outside, so that tests can be the outside.
public struct SetupWorld: Sendable {
    /// One look at Center and the guilds.
    public struct Probe: Sendable {
        public var session: FabricSession
        public var guilds: [Guild] = []

        public struct Guild: Sendable {
            public var nodeId: String
            /// The number of channels, if they could be listed.
            public var channels: Int?
            public var problem: String?
        }

        public init(session: FabricSession) { self.session = session }
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
    /// Logs in.
    public var login: @Sendable (_ center: String, _ authorities: String?, _ key: Secret) async throws -> FabricSession
    /// Logs in and lists what is to be seen.
    public var probe: @Sendable (_ center: String, _ authorities: String?, _ key: Secret) async throws -> Probe

    /// How many seconds Center's clock is ahead of ours, by the `Date` of any answer of it; nil if it gives none.
    public var clockAhead: @Sendable (_ center: String, _ authorities: String?) async throws -> Double?

    /// This process.
    public static var system: SetupWorld {
        SetupWorld(
            environment: { name in getenv(name).map { String(cString: $0) } },
            readLine: { Swift.readLine(strippingNewline: true) },
            isTerminal: isatty(STDIN_FILENO) == 1,
            ask: { question, isSecret in askPerson(question, isSecret) },
            say: { print($0) },
            complain: { line in
                let text = Array((line + "\n").utf8)
                _ = text.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
            },
            login: { center, authorities, key in
                try await withTransfers(authorities) { http in
                    try await FabricCenter(base: center, http: http).login(apiKey: key.reveal())
                }
            },
            probe: { center, authorities, key in
                try await withTransfers(authorities) { http in try await look(center, key, http) }
            },
            clockAhead: { center, authorities in
                try await withTransfers(authorities) { http in
                    let answer = try await http.perform(HTTPRequest(.get, center))
                    return answer.headers["date"].flatMap { HTTPDate.seconds($0) }.map { $0 - Double(time(nil)) }
                }
            })
    }

    private static func withTransfers<T: Sendable>(
        _ authorities: String?, _ body: (HTTPTransfer) async throws -> T
    ) async throws -> T {
        var configuration = HTTPTransfer.Configuration()
        configuration.userAgent = "fabric-setup"
        configuration.certificateAuthorityFile = authorities
        let http = try HTTPTransfer(configuration: configuration)
        defer { http.shutdown() }
        return try await body(http)
    }

    private static func look(_ center: String, _ key: Secret, _ http: HTTPTransfer) async throws -> Probe {
        var probe = Probe(session: try await FabricCenter(base: center, http: http).login(apiKey: key.reveal()))
        for info in probe.session.guilds {
            var guild = Probe.Guild(nodeId: info.nodeId)
            do throws(FabricError) {
                if let token = probe.session.guildAccessTokens[info.nodeId] {
                    let place = try FabricGuild(nodeId: info.nodeId, endpoint: info.endpoint, http: http)
                    guild.channels = try await place.channels(token: token).count
                } else {
                    guild.problem = "Center gave no token for it. Check the agent's membership"
                }
            } catch {
                guild.problem = "\(error)"
            }
            probe.guilds.append(guild)
        }
        return probe
    }

    private static func askPerson(_ question: String, _ isSecret: Bool) -> String? {
        print(question, terminator: " ")
        fflush(nil)
        guard isSecret else { return Swift.readLine(strippingNewline: true) }
        var before = termios()
        guard tcgetattr(STDIN_FILENO, &before) == 0 else { return Swift.readLine(strippingNewline: true) }
        var silent = before
        silent.c_lflag &= ~tcflag_t(ECHO)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
        defer {
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &before)
            print("")
        }
        return Swift.readLine(strippingNewline: true)
    }
}
