import FabricAPI
import SocketIO

/// What an account holds to reach one guild: its API and its socket. What is decided about them is in the inbox, under
/// `number`.
///
/// Confined to the account's actor; it is a class only so that the socket's delegate can name it.
// Unchecked: only code isolated to the account that made it touches it; tasks of the account carry the reference across
// their suspensions, and use it again only when they are back on the account.
final class GuildLink: @unchecked Sendable {
    let number: Int
    let nodeId: String
    let endpoint: String
    let guild: FabricGuild
    var client: SocketIOClient?
    var delegate: GuildSocketDelegate?
    /// The token that the present socket was opened with.
    var token: String?
    var lastDisconnect: String?
    var reconnectAttempts = 0
    var lastConnectedAt: Double?
    /// Its place on the board of those who wait for the guild.
    var boardNumber: UInt64?
    /// Its place among those that connect to the guild, or wait until they may.
    var connectNumber: UInt64?
    @exclusivity(unchecked) private var texts: [ConversationText?] = []
    /// The same, to be looked at without counting a reference for every message.
    @exclusivity(unchecked) private var borrowed: [Unmanaged<ConversationText>?] = []
    @exclusivity(unchecked) private var textsVersion = -1

    init(number: Int, nodeId: String, endpoint: String, guild: FabricGuild) {
        self.number = number
        self.nodeId = nodeId
        self.endpoint = endpoint
        self.guild = guild
    }

    /// The constant parts of a channel's deliveries.
    @inline(__always)
    func text(of slot: Int, in inbox: borrowing Inbox) -> ConversationText {
        if textsVersion == inbox.namesVersion(number), slot < texts.count, let text = texts[slot] {
            return text
        }
        return makeText(of: slot, in: inbox)
    }

    /// As ``text(of:in:)``; good until names change, and so for as long as nothing leads back to the account.
    @inline(__always)
    func borrowedText(of slot: Int, in inbox: borrowing Inbox) -> Unmanaged<ConversationText> {
        if textsVersion == inbox.namesVersion(number), slot < borrowed.count, let text = borrowed[slot] {
            return text
        }
        return Unmanaged.passUnretained(makeText(of: slot, in: inbox))
    }

    @inline(never)
    private func makeText(of slot: Int, in inbox: borrowing Inbox) -> ConversationText {
        if textsVersion != inbox.namesVersion(number) {
            textsVersion = inbox.namesVersion(number)
            texts = []
            borrowed = []
        }
        while texts.count <= slot {
            texts.append(nil)
            borrowed.append(nil)
        }
        let text = inbox.conversation(number, slot, endpoint: guild.endpoint)
        texts[slot] = text
        borrowed[slot] = Unmanaged.passUnretained(text)
        return text
    }
}
