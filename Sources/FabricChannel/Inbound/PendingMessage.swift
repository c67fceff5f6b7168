import ChannelStore
import FabricAPI
import JSONBytes

/// A message that was taken in and waits for its turn in a lane.
struct PendingMessage: Sendable, Equatable {
    /// The delivery id: the same each time the message is delivered.
    var id: String
    /// The position in the channel, when the guild gave one.
    var sequence: Int64?
    /// Whether it wakes the agent.
    var wake: Bool
    /// Whether it was read from history.
    var caughtUp: Bool
    /// Whether it may have been delivered before.
    var redelivered: Bool
    /// How many turns were begun for it.
    var attempts = 0
    /// Whether another agent wrote it.
    var isFromAgent = false
    /// The message object as the guild sent it, JSON text.
    var message: [UInt8]

    /// Reads the message; nil if it cannot be read.
    func withView<Result>(_ body: (FabricMessageView) -> Result) -> Result? {
        message.withUnsafeBytes { text in
            FabricMessageView(JSONView(validated: text, start: 0, end: text.count)).map(body)
        }
    }

    func stored(
        _ key: ChannelKey, handedOver: Bool, mediaDirectory: String? = nil, deadReason: String? = nil
    ) -> StoredDelivery {
        StoredDelivery(
            id: id, key: key, sequence: sequence, wake: wake, caughtUp: caughtUp, redelivered: redelivered,
            message: message, handedOver: handedOver, attempts: attempts, mediaDirectory: mediaDirectory,
            deadReason: deadReason)
    }
}
