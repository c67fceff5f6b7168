import ChannelStore
import FabricAPI
import HTTPTransfer
import JSONBytes
import Logging
import Sessions
import Settings
import SocketIO

/// What an account is given: everything outside its own decisions.
struct AccountEnvironment: Sendable {
    var gateway: any GatewayPort
    var sessions: Sessions
    var http: HTTPTransfer
    var loop: RealtimeLoop
    var store: any ChannelStore
    /// Where gateways share the store: until when the account may act.
    var lease: LeaseGuard?
    var board: GuildBoard
    /// Where it is waited until one may connect to a guild.
    var gate: ConnectGate
    /// Confined to the loop, as the account is.
    var agents: AgentDirectory
    /// The same.
    var commands: CommandCatalogue
    /// Where deliveries are written, one at a time; confined to the loop.
    var buffer: DeliveryBuffer
    /// Those that accounts of this instance began; confined to the loop.
    var subDiscussions: SubDiscussions
    var logger: Logger
    /// Where attachments are kept while their turn runs.
    var mediaDirectory: String
    /// Where the files of messages are kept until these are sent.
    var outboxDirectory: String
    /// This machine's time, seconds since 1970.
    var wallClock: @Sendable () -> Double
    /// Random seeds for jitter.
    var seed: @Sendable () -> UInt64

    var moment: Inbox.Moment { Inbox.Moment(instant: .now, wall: wallClock()) }
}

/// The settings an account runs with. All but the authorities can be changed while it runs.
struct AccountSettings: Sendable, Equatable {
    var coalesce = true
    var syncPeriod: Duration = .seconds(60)
    /// Whether caught-up messages may wake the agent.
    var infersWake = true
    var catchUpMessages = 500
    var catchUpHours: Double = 24
    /// How long others may write before the agent is woken by what may be its turn; zero: never.
    var turnPatience: Duration = .seconds(15)
    var attachmentBytes: Int64 = 100 << 20
    /// Whether files on servers other than the guild's may come from private addresses.
    var allowsPrivateAddresses = false
    var turnTimeout: Duration = .seconds(1800)
    /// How often a delivery whose turn died with the process is delivered again.
    var redeliveries = 3
    var agentChatter = AgentChatter.Limits()
    /// Where the guilds' key for system messages and slash commands is.
    var commandsSyncKey: SecretSource?
    /// Whether the guilds are told what the agent does.
    var saysPresence = true
    /// How long a sub-discussion may be silent before it is moved on.
    var guestPatience: Duration = .seconds(300)
    /// What the host understands.
    var hostCapabilities: Set<String> = []
    /// Only a new account takes up another one.
    var certificateAuthorityFile: String?

    /// Who compares often wants to know soon; less than two seconds are no sign of anything.
    var historyPatience: Duration { min(.seconds(20), max(.seconds(2), syncPeriod)) }

    var inbox: Inbox.Settings {
        Inbox.Settings(
            feed: .init(
                syncPeriod: syncPeriod, limits: .init(catchUp: Int64(max(0, catchUpMessages))),
                historyPatience: historyPatience),
            infersWake: infersWake, catchUpHours: catchUpHours, turnPatience: turnPatience, turnTimeout: turnTimeout,
            redeliveries: redeliveries, chatter: agentChatter)
    }

    var outgoing: Outgoing.Settings { Outgoing.Settings(coalesces: coalesce) }
}
