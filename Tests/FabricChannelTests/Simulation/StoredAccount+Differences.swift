import ChannelStore

extension StoredAccount {
    /// Where it differs from what it should be, in a few words.
    func differences(from other: StoredAccount) -> String {
        var found: [String] = []
        for key in Set(cursors.keys).union(other.cursors.keys) where cursors[key] != other.cursors[key] {
            found.append("cursor of \(key.channel): \(text(cursors[key])), not \(text(other.cursors[key]))")
        }
        for key in Set(newest.keys).union(other.newest.keys) where newest[key] != other.newest[key] {
            found.append("newest of \(key.channel): \(newest[key] ?? -1), not \(other.newest[key] ?? -1)")
        }
        for key in Set(logs.keys).union(other.logs.keys) where logs[key] != other.logs[key] {
            found.append("log of \(key.channel): \(logs[key] ?? .init()), not \(other.logs[key] ?? .init())")
        }
        for key in Set(wakeups.keys).union(other.wakeups.keys) where wakeups[key] != other.wakeups[key] {
            found.append("wakeups of \(key.channel): \(wakeups[key] ?? []), not \(other.wakeups[key] ?? [])")
        }
        for key in Set(taken.keys).union(other.taken.keys) where taken[key] != other.taken[key] {
            found.append("taken of \(key.channel): \(taken[key] ?? []), not \(other.taken[key] ?? [])")
        }
        let mine = Dictionary(deliveries.map { ($0.id, $0) }) { first, _ in first }
        let others = Dictionary(other.deliveries.map { ($0.id, $0) }) { first, _ in first }
        for id in Set(mine.keys).union(others.keys).sorted() where mine[id] != others[id] {
            found.append("delivery \(id): \(text(mine[id])), not \(text(others[id]))")
        }
        if deliveries.count != mine.count || other.deliveries.count != others.count { found.append("a delivery twice") }
        if outbox != other.outbox { found.append("outbox: \(outbox), not \(other.outbox)") }
        if notes != other.notes { found.append("notes") }
        if listedAt != other.listedAt { found.append("listedAt: \(listedAt), not \(other.listedAt)") }
        if isRunning != other.isRunning { found.append("isRunning: \(isRunning)") }
        return found.joined(separator: "; ")
    }

    private func text(_ sequence: Int64?) -> String { sequence.map(String.init) ?? "none" }

    private func text(_ delivery: StoredDelivery?) -> String {
        guard let delivery else { return "none" }
        return
            "(handed over \(delivery.handedOver), redelivered \(delivery.redelivered), attempts \(delivery.attempts), "
            + "wake \(delivery.wake), caught up \(delivery.caughtUp), directory \(delivery.mediaDirectory ?? "none"))"
    }
}
