/// The requests to send that are not answered yet.
struct SendAnswers: Sendable {
    private var open: [UInt64: @Sendable (RequestResult) -> Void] = [:]
    private var next: UInt64 = 0

    /// Keeps a completion under a number.
    mutating func add(_ completion: @escaping @Sendable (RequestResult) -> Void) -> UInt64 {
        next &+= 1
        open[next] = completion
        return next
    }

    /// Takes the completion of a request; nil when it was answered before.
    mutating func take(_ number: UInt64) -> (@Sendable (RequestResult) -> Void)? { open.removeValue(forKey: number) }

    /// The account has stopped: whatever is left was not kept.
    mutating func end(account: String) {
        let left = open.sorted { $0.key < $1.key }
        open = [:]
        let result = RequestProblem(
            .unavailable, "the account was stopped before the message was taken", at: "account \(account)",
            remedy: "send it again when the account runs", retryable: true
        ).result
        for (_, completion) in left { completion(result) }
    }
}
