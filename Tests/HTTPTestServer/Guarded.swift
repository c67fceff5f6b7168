import Foundation

/// A value behind a lock the thread sanitizer knows.
///
/// @unchecked: the value is reached through `withLock` only, which holds the lock.
final class Guarded<Value: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var value: Value

    init(_ value: Value) { self.value = value }

    func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
        lock.withLock { body(&value) }
    }
}
