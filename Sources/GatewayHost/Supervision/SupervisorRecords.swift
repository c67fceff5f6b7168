extension Supervisor {
    /// What is known of the accounts, by name. Those that wait are at hand: after each of many reports the owner asks when the
    /// next of them is due.
    struct Records: Sendable {
        private var all: [String: Record] = [:]
        /// Until when those wait that wait.
        private(set) var waiting: [String: Instant] = [:]

        var isEmpty: Bool { all.isEmpty }
        var keys: some Sequence<String> { all.keys }
        var values: some Sequence<Record> { all.values }

        subscript(account: String) -> Record? {
            get { all[account] }
            set {
                all[account] = newValue
                if case .waiting(let until, _) = newValue?.state {
                    waiting[account] = until
                } else if !waiting.isEmpty {
                    waiting[account] = nil
                }
            }
        }

        mutating func remove(_ account: String) -> Record? {
            defer { self[account] = nil }
            return all[account]
        }

        /// The names of those of which it is true, in order.
        func names(where isTrue: (Record) -> Bool) -> [String] { all.filter { isTrue($0.value) }.keys.sorted() }
    }
}
