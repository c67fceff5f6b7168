import GatewayControl

/// Something that answers wake deliveries.
protocol Agent: Sendable {
    /// Takes one turn. `nil` means that there is nothing to say. Cancelled when the gateway stops.
    func answer(_ turn: Turn) async throws(AgentFailure) -> AgentReply?

    /// What is said in the conversation when turns begin to fail; `nil`: nothing.
    var failureText: String? { get }

    /// Whether a turn of this account waits because the agent takes no more at once.
    func isBusy(for account: String) -> Bool

    /// A conversation is to begin anew.
    /// - Returns: `false` if the agent keeps none that the gateway could end.
    func renew(account: String, conversation: String) async -> Bool
}

extension Agent {
    var failureText: String? { nil }
    func isBusy(for account: String) -> Bool { false }
    func renew(account: String, conversation: String) async -> Bool { false }
}

/// One wake delivery, as an agent gets it.
struct Turn: Sendable {
    /// What the router needs of the delivery.
    var head: DeliveryHead
    /// The delivery JSON as the module sent it.
    var delivery: [UInt8]
    /// Whether the channel's module has tools.
    var hasTools = false
}

/// A file of an answer.
struct ReplyFile: Equatable, Sendable {
    var path: String
    var name: String?
    var mediaType: String?
    init(path: String, name: String? = nil, mediaType: String? = nil) {
        self.path = path
        self.name = name
        self.mediaType = mediaType
    }
}

struct AgentReply: Equatable, Sendable {
    var text: String
    var files: [ReplyFile]
    /// The id of the message it answers.
    var replyTo: String?
    /// Where files of it may lie: kept until the answer is with the module, or given up.
    var directory: TurnDirectory?
    init(text: String, files: [ReplyFile] = [], replyTo: String? = nil) {
        self.text = text
        self.files = files
        self.replyTo = replyTo
    }

    static func == (a: Self, b: Self) -> Bool { a.text == b.text && a.files == b.files && a.replyTo == b.replyTo }
}

/// Why a turn failed. Holds no text of the delivery or the answer.
struct AgentFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// What happened and what the operator can do.
    var description: String
    /// The gateway is stopping: the delivery stays unsettled, so that it is delivered again.
    var cancelled: Bool
    init(_ description: String, cancelled: Bool = false) {
        self.description = description
        self.cancelled = cancelled
    }
}

/// Answers `echo: <text>`, and sends back the files it received; without text just the files. It never answers an agent:
/// two of its kind in one channel would not end.
struct EchoAgent: Agent {
    func answer(_ turn: Turn) async throws(AgentFailure) -> AgentReply? {
        let head = turn.head
        guard !head.authorIsAgent else { return nil }
        let files = head.media.compactMap { file in
            file.path.map { ReplyFile(path: $0, name: file.name, mediaType: file.mediaType) }
        }
        let text = head.text.isEmpty ? "" : "echo: " + head.text
        return text.isEmpty && files.isEmpty ? nil : AgentReply(text: text, files: files)
    }
}
