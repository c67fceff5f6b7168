/// The work under way of an account: stopped with it.
struct AccountTasks {
    private var running: [UInt64: Task<Void, Never>] = [:]
    private var last: UInt64 = 0

    mutating func number() -> UInt64 {
        last += 1
        return last
    }

    mutating func began(_ number: UInt64, _ task: Task<Void, Never>) { running[number] = task }
    mutating func ended(_ number: UInt64) { running[number] = nil }
    func cancel(_ number: UInt64) { running[number]?.cancel() }

    func running(_ number: UInt64) -> Task<Void, Never>? { running[number] }

    /// All that are under way. They stay until they have ended: an account whose end is waited for twice waits for them twice.
    var all: [Task<Void, Never>] { Array(running.values) }
}
