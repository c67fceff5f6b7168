/// A timer of a ``RealtimeLoop``.
public struct LoopTimer: Sendable {
    let id: UInt64
    let loop: RealtimeLoop

    /// Takes the timer out, from any thread. Called on the loop, its closure will not run any more;
    /// called from elsewhere, it may be running or about to.
    public func cancel() {
        if loop.isOnLoop {
            _ = loop.confined?.timers.cancel(id)
        } else {
            loop.submit(.body { [loop, id] in loop.confined?.timers.cancel(id) }, evenAfterwards: false)
        }
    }
}
