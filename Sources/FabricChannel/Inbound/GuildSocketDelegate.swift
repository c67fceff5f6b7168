import FabricAPI
import SocketIO

/// The events of a guild that mean something here.
enum GuildEvent: Sendable {
    case messageCreated, channelJoined, channelLeft

    @inline(__always)
    init?(_ event: borrowing SocketIOEvent) {
        if event.isNamed(FabricRealtime.messageCreated) {
            self = .messageCreated
        } else if event.isNamed(FabricRealtime.channelJoined) {
            self = .channelJoined
        } else if event.isNamed(FabricRealtime.channelLeft) {
            self = .channelLeft
        } else {
            return nil
        }
    }
}

/// Hands what a guild's socket brings to the account. Called on the realtime loop, which is the account's executor.
final class GuildSocketDelegate: SocketIODelegate {
    private let account: Account
    private let link: GuildLink

    init(account: Account, link: GuildLink) {
        self.account = account
        self.link = link
    }

    func socketIO(_ client: SocketIOClient, received event: borrowing SocketIOEvent) {
        guard let kind = GuildEvent(event) else { return }
        guard let view = event.argument(0) else { return }
        // Stays on this thread: the loop that calls is the executor of the account.
        nonisolated(unsafe) let argument = view
        account.assumeIsolated { $0.received(kind, argument, from: link) }
    }

    func socketIO(_ client: SocketIOClient, changed state: SocketIOState) {
        account.assumeIsolated { $0.changed(state, of: client, link) }
    }
}
