import Locking

/// Waiting that ends in time, whether what is waited for does or not.
enum Deadline {
    static func wait(_ limit: Duration, _ body: @escaping @Sendable () async -> Void) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let waiter = Locked<CheckedContinuation<Void, Never>?>(continuation)
            let end = { @Sendable in
                let first = waiter.withLock { waiter in
                    defer { waiter = nil }
                    return waiter
                }
                first?.resume()
            }
            let alarm = Task {
                try? await Task.sleep(for: limit)
                end()
            }
            Task {
                await body()
                alarm.cancel()
                end()
            }
        }
    }
}
