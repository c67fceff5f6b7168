/// Folds repeated identical records: the first is written, the next ones are counted, and when the window is over one
/// line says how many there were. Events and time in, lines out.
struct RecordFolder: Sendable {
    typealias Instant = ContinuousClock.Instant

    struct Output: Equatable, Sendable {
        var record: LogRecord
        /// How many more of it there were; 0 for the first.
        var repeats: Int
    }

    private struct Entry {
        var since: Instant
        var repeats: Int
    }

    /// How long identical records are counted before they are told of.
    let window: Duration
    /// Different records that are kept an eye on; beyond it the oldest is told of early.
    let capacity: Int
    private var entries: [LogRecord: Entry] = [:]

    init(window: Duration = .seconds(30), capacity: Int = 256) {
        self.window = window
        self.capacity = capacity
    }

    /// A record comes.
    mutating func take(_ record: LogRecord, at now: Instant) -> [Output] {
        var outputs = expire(at: now)
        if entries[record] != nil {
            entries[record]?.repeats += 1
            return outputs
        }
        if entries.count >= capacity, let oldest = entries.min(by: { $0.value.since < $1.value.since }) {
            entries[oldest.key] = nil
            if oldest.value.repeats > 0 { outputs.append(Output(record: oldest.key, repeats: oldest.value.repeats)) }
        }
        entries[record] = Entry(since: now, repeats: 0)
        outputs.append(Output(record: record, repeats: 0))
        return outputs
    }

    /// What has been counted for a whole window; with `all` everything.
    mutating func expire(at now: Instant, all: Bool = false) -> [Output] {
        let over = entries.filter { all || now - $0.value.since >= window }.sorted { $0.value.since < $1.value.since }
        for (record, _) in over { entries[record] = nil }
        return over.filter { $0.value.repeats > 0 }.map { Output(record: $0.key, repeats: $0.value.repeats) }
    }
}

/// One record of the log, without its time.
struct LogRecord: Hashable, Sendable {
    var level: String
    var label: String
    var message: String
    /// Sorted by key.
    var metadata: [Pair]

    struct Pair: Hashable, Sendable {
        var key: String
        var value: String
    }
}
