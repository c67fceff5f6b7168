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
    /// The message object as the guild sent it, JSON text.
    var message: [UInt8]
}
