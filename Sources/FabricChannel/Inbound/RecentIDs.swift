/// The messages last seen that had no position; bounded, the oldest is forgotten first.
///
/// Keeps 64-bit hashes: a thousand agents that catch up at once must not keep as many copies of every id, and that two of
/// the few thousand kept ids collide is less likely than a broken memory.
struct RecentIDs: Sendable {
    private var order: [Int] = []
    private var next = 0
    private var known: Set<Int> = []
    private let limit: Int

    /// - Parameter limit: 5,000 is what other plugins for Fabric keep.
    init(limit: Int = 5000) { self.limit = limit }

    /// Remembers an id of a channel; false when it was known.
    mutating func insert(_ id: String, in channel: String) -> Bool {
        var hasher = Hasher()
        hasher.combine(channel)
        hasher.combine(id)
        let hash = hasher.finalize()
        guard known.insert(hash).inserted else { return false }
        if order.count < limit {
            order.append(hash)
        } else {
            known.remove(order[next])
            order[next] = hash
            next = (next + 1) % limit
        }
        return true
    }
}
