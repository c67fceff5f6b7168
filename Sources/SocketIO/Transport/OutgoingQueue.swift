/// Messages waiting to be written, oldest first.
struct OutgoingQueue {
    struct Message {
        var bytes: [UInt8]
        var isBinary: Bool
    }

    private var messages: [Message] = []
    private var head = 0
    /// Their bytes together.
    private(set) var bytes = 0

    var isEmpty: Bool { head == messages.count }

    mutating func add(_ message: [UInt8], isBinary: Bool) {
        messages.append(Message(bytes: message, isBinary: isBinary))
        bytes += message.count
    }

    mutating func takeFirst() -> Message? {
        guard head < messages.count else { return nil }
        let message = messages[head]
        messages[head].bytes = []
        head += 1
        bytes -= message.bytes.count
        if head == messages.count {
            messages.removeAll(keepingCapacity: messages.count <= 16)
            head = 0
        } else if head > 64, head * 2 > messages.count {
            messages.removeFirst(head)
            head = 0
        }
        return message
    }
}
