import Glibc
import Timing

/// A value behind a lock that threads can wait on.
// Unchecked: the value is reached through `withLock` only, which holds the mutex.
final class StoreMonitor<Value>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var value: Value

    init(_ value: sending Value) {
        self.value = value
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
        condition = .allocate(capacity: 1)
        condition.initialize(to: pthread_cond_t())
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // Waits are not stretched by the wall clock being set.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        condition.deinitialize(count: 1)
        condition.deallocate()
        pthread_mutex_destroy(mutex)
        mutex.deinitialize(count: 1)
        mutex.deallocate()
    }

    func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body(&value)
    }

    /// Asks `body` until it has a result: at first, after every `wake`, and when the time it wants to be asked again has
    /// come (nanoseconds of `now`; nil: not by time).
    func waitFor<Result>(_ body: (inout Value, _ now: Int64) -> Answer<Result>) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            switch body(&value, SystemClock.monotonic) {
            case .result(let result): return result
            case .wait(nil): pthread_cond_wait(condition, mutex)
            case .wait(let until?):
                var time = timespec(tv_sec: Int(until / 1_000_000_000), tv_nsec: Int(until % 1_000_000_000))
                pthread_cond_timedwait(condition, mutex, &time)
            }
        }
    }

    enum Answer<Result> {
        case result(Result)
        case wait(until: Int64?)
    }

    func wakeAll() { pthread_cond_broadcast(condition) }
}
