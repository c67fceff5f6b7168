import FabricAPI
import HTTPTransfer

/// One look at Center and the guilds with an account's key.
public struct SetupProbe: Sendable {
    /// What does not work, and how to mend it.
    public struct Trouble: Sendable, Equatable {
        public var what: String
        public var remedy: String

        public init(_ what: String, remedy: String) {
            self.what = what
            self.remedy = remedy
        }

        /// - Parameter error: of a login or a call to a guild.
        init(_ error: any Error) {
            guard let error = (error as? FabricError)?.asked else {
                self.init("\(error)", remedy: "Check the account's key and the network")
                return
            }
            var what = error.description
            if what.hasSuffix(". " + error.remedy) { what.removeLast(error.remedy.count + 2) }
            self.init(what, remedy: error.remedy)
        }
    }

    public struct Channel: Sendable, Equatable {
        public var id: String
        public var name: String
        public var type: String

        public init(id: String, name: String, type: String) {
            self.id = id
            self.name = name
            self.type = type
        }
    }

    /// The socket of one guild.
    public struct Socket: Sendable, Equatable {
        /// The name of the channel that was joined; nil if there was none to join.
        public var joined: String?
        /// Whether the guild acknowledged the joining.
        public var isAcknowledged = false
        public var trouble: Trouble?

        public init() {}
    }

    public struct Guild: Sendable, Equatable {
        public var nodeId: String
        public var endpoint: String
        /// nil if they could not be listed.
        public var channels: [Channel]?
        /// nil if none was opened.
        public var socket: Socket?
        public var trouble: Trouble?

        public init(nodeId: String, endpoint: String) {
            self.nodeId = nodeId
            self.endpoint = endpoint
        }
    }

    /// Fabric's id of the user the key belongs to.
    public var userId: String
    /// E-mail, name or id.
    public var user: String
    public var guilds: [Guild] = []

    public init(userId: String, user: String) {
        self.userId = userId
        self.user = user
    }

    /// Logs in, lists every guild's channels, and opens a socket to each guild if asked to.
    /// - Throws: `FabricError` if the login fails. What fails later stands in the result.
    static func look(_ request: SetupWorld.ProbeRequest, _ http: HTTPTransfer) async throws -> SetupProbe {
        request.step("logging in at \(request.center)")
        let session = try await FabricCenter(base: request.center, http: http).login(apiKey: request.key.reveal())
        var probe = SetupProbe(
            userId: session.user.id, user: session.user.email ?? session.user.name ?? session.user.id)
        for info in session.guilds {
            var found = Guild(nodeId: info.nodeId, endpoint: info.endpoint)
            do throws(FabricError) {
                guard let token = session.guildAccessTokens[info.nodeId] else {
                    found.trouble = Trouble(
                        "Center gave no token for it", remedy: "Check the agent's membership in the guild")
                    probe.guilds.append(found)
                    continue
                }
                let guild = try FabricGuild(nodeId: info.nodeId, endpoint: info.endpoint, http: http)
                request.step("listing the channels of guild \(info.nodeId)")
                let channels = try await guild.channels(token: token)
                found.channels = channels.map {
                    Channel(id: $0.id, name: $0.name ?? $0.id, type: $0.xType.rawValue)
                }
                if request.opensSockets {
                    request.step("opening a socket to guild \(info.nodeId)")
                    found.socket = await SocketProbe(guild: guild, token: token, authorities: request.authorities)
                        .open(joining: channels.first { !$0.closed })
                }
            } catch {
                found.trouble = Trouble(error)
            }
            probe.guilds.append(found)
        }
        return probe
    }
}
