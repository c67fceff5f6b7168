import ChannelStore
import FabricAPI
import HTTPTransfer
import JSONBytes
import Logging
import Sessions
import SocketIO

/// What an account is given: everything outside its own decisions.
struct AccountEnvironment: Sendable {
    var gateway: any GatewayPort
    var sessions: Sessions
    var http: HTTPTransfer
    var loop: RealtimeLoop
    var store: InMemoryChannelStore
    var board: GuildBoard
    var logger: Logger
    /// Where attachments are kept while their turn runs.
    var mediaDirectory: String
    /// This machine's time, seconds since 1970.
    var wallClock: @Sendable () -> Double
    /// Random seeds for jitter.
    var seed: @Sendable () -> UInt64

    /// What the store has of an account; empty when it cannot be read.
    func stored(_ account: String) async -> StoredAccount {
        (try? await store.load(account)) ?? StoredAccount()
    }
}

/// The settings an account runs with; it is restarted to change them.
struct AccountSettings: Sendable, Equatable {
    var coalesce = true
    var syncPeriod: Duration = .seconds(60)
    /// Whether caught-up messages may wake the agent.
    var infersWake = true
    var catchUpMessages = 500
    var catchUpHours: Double = 24
    var attachmentBytes: Int64 = 100 << 20
    /// Whether files on servers other than the guild's may come from private addresses.
    var allowsPrivateAddresses = false
    var turnTimeout: Duration = .seconds(1800)
    var certificateAuthorityFile: String?
    /// How long joins are waited for; a guild may not acknowledge them at all (Fabric contract, section 5.3).
    var joinTimeout: Duration = .seconds(5)
}
