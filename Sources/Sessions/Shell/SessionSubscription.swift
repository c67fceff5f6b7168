import Locking

/// A consumer's declaration that an agent's session is in use.
public final class SessionSubscription: Sendable {
    /// The agent it is for.
    public let agent: String
    private let end: Locked<(@Sendable () -> Void)?>

    init(agent: String, end: @escaping @Sendable () -> Void) {
        self.agent = agent
        self.end = Locked(end)
    }

    /// Ends the use; more calls do nothing. Dropping the last reference does the same.
    public func cancel() {
        let end = end.withLock { end in
            defer { end = nil }
            return end
        }
        end?()
    }

    deinit { cancel() }
}
