/// How far the end of an account has come, and who waits for it.
struct AccountEnding {
    private(set) var isLoaded = false
    private(set) var hasBegun = false
    /// It is no news: the account moves to another gateway.
    private(set) var isMute = false
    /// Commits that the store has not confirmed.
    private var commits = 0
    /// Requests to send whose messages are in those commits: they are told what becomes of them.
    private var heldAnswers: [UInt64] = []
    private var drainWaiters: [CheckedContinuation<Void, Never>] = []
    private var storeWaiters: [CheckedContinuation<Void, Never>] = []

    var isStored: Bool { commits == 0 }
    var isDrainAwaited: Bool { !drainWaiters.isEmpty }

    mutating func loaded() { isLoaded = true }
    mutating func begin() { hasBegun = true }
    mutating func mute() { isMute = true }

    mutating func commitBegan() { commits += 1 }

    mutating func commitEnded() { commits -= 1 }

    /// With the last one, those who wait for the store go on.
    mutating func checkStored() {
        if isStored { letStoreWaitersGo() }
    }

    mutating func hold(_ requests: [UInt64]) { heldAnswers += requests }

    mutating func takeHeld() -> [UInt64] {
        defer { heldAnswers = [] }
        return heldAnswers
    }

    mutating func awaitDrain(_ waiter: CheckedContinuation<Void, Never>) { drainWaiters.append(waiter) }
    mutating func awaitStore(_ waiter: CheckedContinuation<Void, Never>) { storeWaiters.append(waiter) }

    mutating func letStoreWaitersGo() {
        let waiters = storeWaiters
        storeWaiters = []
        for waiter in waiters { waiter.resume() }
    }

    mutating func letDrainWaitersGo() {
        let waiters = drainWaiters
        drainWaiters = []
        for waiter in waiters { waiter.resume() }
    }
}
