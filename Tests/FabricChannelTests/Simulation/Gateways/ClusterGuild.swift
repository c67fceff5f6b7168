@testable import FabricAPI
@testable import FabricChannel

/// A message of a conversation, as the guild keeps it.
struct ClusterMessage {
    var id: String
    var sequence: Int64
    var author: String
    var content: String
    var key: String?

    private func text(_ channel: String) -> String {
        #"{"messageId":"\#(id)","seq":\#(sequence),"channelId":"\#(channel)","authorUserId":"\#(author)","#
            + #""content":"\#(content)","createdAt":\#(Int64(ClusterWorld.epoch * 1000) + sequence)"#
    }

    func row(_ channel: String) -> [UInt8] { Array((text(channel) + "}").utf8) }
    func event(_ channel: String) -> [UInt8] { Array((text(channel) + #","xType":"dm","wakeup":true}"#).utf8) }
}

/// One conversation: an account's, with a person who asks.
final class ClusterRoom {
    let account: String
    let channel: String
    var log: [ClusterMessage] = []
    var keys: [String: ClusterMessage] = [:]
    /// Connections that hear.
    var sockets: [SharedAccount] = []

    init(account: String) {
        self.account = account
        channel = "dm-\(account)"
    }

    var agent: String { "u-\(account)" }

    @discardableResult
    func post(_ author: String, _ content: String, key: String? = nil) -> ClusterMessage {
        if let key, let known = keys[key] { return known }
        let message = ClusterMessage(
            id: "m-\(account)-\(log.count + 1)", sequence: Int64(log.count), author: author, content: content, key: key)
        log.append(message)
        if let key { keys[key] = message }
        for socket in sockets { socket.push(message) }
        return message
    }

    var head: Int64 { Int64(log.count) - 1 }

    func list() -> [ListedChannel] {
        [
            ListedChannel(
                id: channel, name: channel, type: .dm, lastSeq: head, closed: false, createdAt: ClusterWorld.epoch)
        ]
    }

    func history(_ range: ClosedRange<Int64>) -> [FabricHistory.Row] {
        log.filter { range.contains($0.sequence) }.prefix(200).map {
            .init(id: $0.id, seq: $0.sequence, json: $0.row(channel))
        }
    }
}
