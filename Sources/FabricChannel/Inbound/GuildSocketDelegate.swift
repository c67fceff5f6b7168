import FabricAPI
import JSONBytes
import SocketIO

/// The events of a guild that mean something here.
enum GuildEvent: Sendable {
    case messageCreated, channelJoined, channelLeft
    case messageUpdated, messageDeleted, canvasUpdated, canvasRemoved
    case typing, presence

    @inline(__always)
    init?(_ event: borrowing SocketIOEvent) {
        if event.isNamed(FabricRealtime.messageCreated) {
            self = .messageCreated
        } else if event.isNamed(FabricRealtime.channelJoined) {
            self = .channelJoined
        } else if event.isNamed(FabricRealtime.channelLeft) {
            self = .channelLeft
        } else {
            self.init(rare: event)
        }
    }

    @inline(never)
    private init?(rare event: borrowing SocketIOEvent) {
        if event.isNamed(FabricRealtime.messageUpdated) {
            self = .messageUpdated
        } else if event.isNamed(FabricRealtime.messageDeleted) {
            self = .messageDeleted
        } else if event.isNamed(FabricRealtime.canvasUpdated) {
            self = .canvasUpdated
        } else if event.isNamed(FabricRealtime.canvasRemoved) {
            self = .canvasRemoved
        } else {
            for name in FabricRealtime.typingNames where event.isNamed(name) {
                self = .typing
                return
            }
            for name in FabricRealtime.presenceNames where event.isNamed(name) {
                self = .presence
                return
            }
            return nil
        }
    }

    /// What the delivery of a change is called; nil for what is none.
    var change: String? {
        switch self {
        case .messageUpdated: "message.updated"
        case .messageDeleted: "message.deleted"
        case .canvasUpdated: "canvas.updated"
        case .canvasRemoved: "canvas.removed"
        case .messageCreated, .channelJoined, .channelLeft, .typing, .presence: nil
        }
    }
}

/// Hands what a guild's socket brings to the account. Called on the realtime loop, which is the account's executor.
final class GuildSocketDelegate: SocketIODelegate {
    // In structures: a function that is cast by itself is wrapped, twice, in one that passes everything through memory.
    private struct Receive { let call: @Sendable (Account, GuildEvent, JSONView, JSONMembers?, GuildLink) -> Void }
    private struct IsolatedReceive {
        let call: @Sendable (isolated Account, GuildEvent, JSONView, JSONMembers?, GuildLink) -> Void
    }

    private let account: Account
    private let link: GuildLink
    private let receive: @Sendable (Account, GuildEvent, JSONView, JSONMembers?, GuildLink) -> Void

    init(account: Account, link: GuildLink) {
        self.account = account
        self.link = link
        // What `assumeIsolated` does, without what it does besides: it asks the runtime which executor it runs on, and
        // allocates for its closure, together a tenth of the cost of a message. That the loop, which calls, is the
        // account's executor is so by construction.
        let isolated = IsolatedReceive { account, kind, argument, members, link in
            account.received(kind, argument, members, from: link)
        }
        receive = unsafeBitCast(isolated, to: Receive.self).call
    }

    func socketIO(_ client: SocketIOClient, received event: borrowing SocketIOEvent) {
        guard let kind = GuildEvent(event) else { return }
        guard let view = event.argument(0) else { return }
        assert(account.loop.isOnLoop)
        receive(account, kind, view, event.members, link)
    }

    func socketIO(_ client: SocketIOClient, changed state: SocketIOState) {
        account.assumeIsolated { $0.changed(state, of: client, link) }
    }
}
