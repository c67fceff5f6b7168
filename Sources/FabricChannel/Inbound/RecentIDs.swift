/// The messages last seen that had no position; bounded, the oldest is forgotten first.
struct RecentIDs: Sendable {
    private var order: [String] = []
    private var next = 0
    private var known: Set<String> = []
    private let limit: Int

    /// - Parameter limit: 5,000 is what the plugins before this one keep (Fabric contract, section 6.5).
    init(limit: Int = 5000) { self.limit = limit }

    /// Remembers an id; false when it was known.
    mutating func insert(_ id: String) -> Bool {
        guard known.insert(id).inserted else { return false }
        if order.count < limit {
            order.append(id)
        } else {
            known.remove(order[next])
            order[next] = id
            next = (next + 1) % limit
        }
        return true
    }

    func contains(_ id: String) -> Bool { known.contains(id) }
}
