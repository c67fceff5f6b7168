import Foundation

/// Calls that wait for a thread to end, which a thread of Swift's pool must not do.
enum BlockingCall {
    /// Runs `body` on a thread of its own and returns when it has.
    static func run(_ body: @escaping @Sendable () -> Void) async {
        await withCheckedContinuation { done in
            Thread.detachNewThread {
                body()
                done.resume()
            }
        }
    }
}
