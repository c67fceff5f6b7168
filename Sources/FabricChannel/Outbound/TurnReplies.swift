import ChannelStore
import FabricAPI

/// The messages an agent sends during a turn, kept until the turn is over and then joined into one.
struct TurnReplies: Sendable {
    /// One turn's messages so far.
    struct Reply: Sendable, Equatable {
        var key: ChannelKey
        var texts: [String]
        var media: [StoredMedia]
        var replyTo: String?
        /// The requests to answer when it is posted.
        var requests: [UInt64]

        /// What a turn that said nothing must say all the same: in a rotation everybody waits for the one whose turn it is.
        static func noReply(to key: ChannelKey) -> Reply {
            Reply(key: key, texts: [FabricRealtime.noReply], media: [], replyTo: nil, requests: [])
        }
    }

    /// Keyed by delivery; one turn may write to more than one channel, each its own message.
    private var replies: [String: [Reply]] = [:]

    /// Adds a segment to the turn's message to `key`.
    mutating func add(
        delivery: String, key: ChannelKey, text: String, media: [StoredMedia], replyTo: String?, request: UInt64
    ) {
        var turn = replies[delivery] ?? []
        let segment = text.isEmpty ? [] : [text]
        if let index = turn.firstIndex(where: { $0.key == key }) {
            turn[index].texts += segment
            turn[index].media += media
            turn[index].replyTo = turn[index].replyTo ?? replyTo
            turn[index].requests.append(request)
        } else {
            turn.append(Reply(key: key, texts: segment, media: media, replyTo: replyTo, requests: [request]))
        }
        replies[delivery] = turn
    }

    /// Takes the turn's messages: it is over.
    mutating func end(_ delivery: String) -> [Reply] { replies.removeValue(forKey: delivery) ?? [] }

    /// Everything buffered: the account stops.
    mutating func endAll() -> [(delivery: String, replies: [Reply])] {
        let all = replies.sorted { $0.key < $1.key }
        replies = [:]
        return all.map { ($0.key, $0.value) }
    }
}
