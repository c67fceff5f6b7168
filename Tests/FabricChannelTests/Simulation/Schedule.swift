@testable import FabricChannel

/// Virtual time, and what is to happen in it. One thread, one seed: the same seed is the same course of events.
final class Schedule {
    private struct Entry {
        var at: Int64
        var order: UInt64
        var body: () -> Void

        func isBefore(_ other: Entry) -> Bool { at == other.at ? order < other.order : at < other.at }
    }

    /// Microseconds since the beginning.
    private(set) var now: Int64 = 0
    private(set) var steps = 0
    var random: SplitMix64
    private var heap: [Entry] = []
    private var count: UInt64 = 0

    init(seed: UInt64) { random = SplitMix64(state: seed) }

    var seconds: Double { Double(now) / 1e6 }

    /// Runs `body` in so many seconds; what is due at the same time runs in the order of the calls.
    func after(_ seconds: Double, _ body: @escaping () -> Void) {
        count += 1
        heap.append(Entry(at: now + Int64(max(0, seconds) * 1e6), order: count, body: body))
        var at = heap.count - 1
        while at > 0, heap[at].isBefore(heap[(at - 1) / 2]) {
            heap.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    /// Lets happen what is due within the next `seconds`.
    func run(for seconds: Double) {
        let end = now + Int64(seconds * 1e6)
        while let first = heap.first, first.at <= end {
            now = first.at
            steps += 1
            removeFirst()
            first.body()
        }
        now = end
    }

    func clear() { heap = [] }

    private func removeFirst() {
        let last = heap.removeLast()
        guard !heap.isEmpty else { return }
        heap[0] = last
        var at = 0
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2] where child < heap.count && heap[child].isBefore(heap[least]) {
                least = child
            }
            if least == at { return }
            heap.swapAt(at, least)
            at = least
        }
    }
}

extension SplitMix64 {
    mutating func below(_ bound: Int) -> Int { bound <= 1 ? 0 : Int(next() % UInt64(bound)) }
    mutating func chance(_ probability: Double) -> Bool { probability > 0 && unit() < probability }
    mutating func between(_ low: Double, _ high: Double) -> Double { low + (high - low) * unit() }
    mutating func pick<Element>(_ from: [Element]) -> Element { from[below(from.count)] }

    /// A time to wait for something: mostly short, now and then ten times as long.
    mutating func delay(_ usual: Double) -> Double { between(0.1, 1) * usual * (chance(0.05) ? 10 : 1) }
}
