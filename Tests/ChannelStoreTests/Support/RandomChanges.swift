import ChannelStore

/// The same sequence of numbers for the same seed.
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678_9ABC_DEF1 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state &* 0x2545_F491_4F6C_DD1D
    }
}

/// Changes over few names, so that they meet.
struct RandomChanges {
    var numbers: SeededNumbers

    init(seed: UInt64) {
        numbers = SeededNumbers(seed)
        _ = numbers.next()
    }

    mutating func number(_ range: ClosedRange<Int>) -> Int { .random(in: range, using: &numbers) }
    mutating func chance(_ percent: Int) -> Bool { number(1...100) <= percent }

    mutating func account() -> String { ["a", "b", "agent 'three'\u{0}x"][number(0...2)] }

    mutating func changes() -> [StoreChange] { (0..<number(0...6)).map { _ in change() } }

    mutating func key() -> ChannelKey {
        ChannelKey(guild: ["g1", "g2", ""][number(0...2)], channel: ["c1", "c2", "ü\u{0}3"][number(0...2)])
    }

    private mutating func sequence() -> Int64 {
        chance(5) ? [.min, .max, 0, -1][number(0...3)] : Int64(number(1...12))
    }

    private mutating func time() -> Double? { [nil, 0, 1_774_000_000.125, -.infinity][number(0...3)] }

    private mutating func optionalText() -> String? { [nil, "", "text \u{0} ü", "why"][number(0...3)] }

    private mutating func bytes() -> [UInt8] {
        let count = chance(3) ? number(4000...20_000) : number(0...40)
        return [UInt8](unsafeUninitializedCapacity: count) { bytes, initialized in
            for place in stride(from: 0, to: count, by: 8) {
                withUnsafeBytes(of: numbers.next()) { eight in
                    for offset in 0..<min(8, count - place) {
                        bytes.initializeElement(at: place + offset, to: eight[offset])
                    }
                }
            }
            initialized = count
        }
    }

    mutating func change() -> StoreChange {
        switch number(0...99) {
        case 0..<16: return .cursor(key(), sequence: sequence(), newest: time())
        case 16..<20:
            return .log(key(), StoredLog(era: chance(5) ? .max : number(0...2), notBefore: time()))
        case 20..<24: return .forgetChannel(key())
        case 24..<31: return .wakeup(key(), sequence: sequence())
        case 31..<36: return .taken(key(), sequence: sequence())
        case 36..<56: return .delivery(delivery())
        case 56..<68: return .settled(delivery: "d\(number(0...7))")
        case 68..<82: return .outbox(entry())
        case 82..<91: return .outboxRemoved(id: "o\(number(0...5))")
        case 91..<93: return .note("n\(number(0...2))", chance(30) ? nil : bytes())
        case 93..<96: return .listed(guild: key().guild, at: [0, 1.5, 1_700_000_000.25, -3, .infinity][number(0...4)])
        default: return .running(chance(50))
        }
    }

    private mutating func delivery() -> StoredDelivery {
        StoredDelivery(
            id: "d\(number(0...7))", key: key(), sequence: chance(20) ? nil : sequence(), wake: chance(50),
            caughtUp: chance(50), redelivered: chance(50), message: bytes(), handedOver: chance(50),
            attempts: chance(3) ? .max : number(0...3), mediaDirectory: optionalText(), deadReason: optionalText())
    }

    private mutating func entry() -> OutboxEntry {
        OutboxEntry(
            id: "o\(number(0...5))", key: key(), text: optionalText() ?? "",
            media: (0..<number(0...2)).map { number in
                StoredMedia(
                    path: "/tmp/\(number)", name: "name \(number)", mediaType: "image/png",
                    uploaded: chance(50) ? bytes() : nil)
            }, replyTo: optionalText(), floor: chance(50) ? sequence() : nil,
            order: chance(5) ? .max : UInt64(number(0...1000)), deadReason: optionalText())
    }
}
