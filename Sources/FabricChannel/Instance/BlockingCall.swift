import Threads

/// Calls that wait for a thread to end, which a thread of Swift's pool must not do.
enum BlockingCall {
    /// Runs `body` on a thread of its own and returns when it has.
    static func run(_ body: @escaping @Sendable () -> Void) async {
        await withCheckedContinuation { done in
            let work: @Sendable () -> Void = {
                body()
                done.resume()
            }
            // Where the system has no thread left, a thread of the pool that waits is better than a stop that never ends.
            do { try NamedThread.detached("fabric-wait", work) } catch { work() }
        }
    }
}
