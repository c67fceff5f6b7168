/// How long each phase of a transfer may take. Whichever runs out first ends it with
/// ``HTTPTransferError/Kind/timedOut(_:)`` naming the phase.
public struct HTTPDeadlines: Sendable, Equatable {
    /// Resolving the name, connecting and the TLS handshake together. Starts when the transfer leaves the queue.
    public var connect: Duration

    /// From the moment the request is sent completely to the end of the response's header block, so a server that
    /// trickles its headers is bounded too.
    public var firstByte: Duration

    /// The longest pause between two pieces of a body, sent or received.
    public var stall: Duration

    /// The whole transfer, waiting for a free connection and redirects included. `nil`: no limit of its own.
    public var total: Duration?

    /// The defaults are ours: 10 s to connect (three SYN retransmissions), 30 s for an answer and between two pieces.
    public init(
        connect: Duration = .seconds(10), firstByte: Duration = .seconds(30), stall: Duration = .seconds(30),
        total: Duration? = nil
    ) {
        self.connect = connect
        self.firstByte = firstByte
        self.stall = stall
        self.total = total
    }

    /// For small requests: the defaults, and 60 s for the whole.
    public static let request = HTTPDeadlines(total: .seconds(60))

    /// For files of any size: the defaults, no limit for the whole.
    public static let file = HTTPDeadlines()
}
