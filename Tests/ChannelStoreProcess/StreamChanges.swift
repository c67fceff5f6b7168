import ChannelStore

/// What the process commits as number `number`, and the test expects of it.
public enum StreamChanges {
    public static func account(_ number: Int) -> String { "agent-\(number % 3)" }

    /// Several rows in several tables, so that half of a commit would be seen.
    public static func changes(_ number: Int) -> [StoreChange] {
        let first = ChannelKey(guild: "g", channel: "first")
        let second = ChannelKey(guild: "g", channel: "second")
        let text = Array(repeating: UInt8(truncatingIfNeeded: number), count: 200 + number % 900)
        var changes: [StoreChange] = [
            .cursor(first, sequence: Int64(number)),
            .delivery(
                StoredDelivery(
                    id: "d-\(number)", key: first, sequence: Int64(number), wake: true, caughtUp: false,
                    redelivered: false, message: text, handedOver: false)),
            .settled(delivery: "d-\(number - 60)"),
            .wakeup(second, sequence: Int64(number + 5)),
            .cursor(second, sequence: Int64(number)),
        ]
        if number % 40 < 3 {
            changes.append(
                .outbox(
                    OutboxEntry(
                        id: "o-\(number % 7)", key: second, text: "\(number)",
                        media: [StoredMedia(path: "/f", name: "f", mediaType: "text/plain", uploaded: text)],
                        replyTo: nil, order: UInt64(number))))
        }
        if number % 40 == 20 { changes.append(.outboxRemoved(id: "o-\(number % 7)")) }
        return changes
    }
}
