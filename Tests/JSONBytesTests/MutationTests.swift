import JSONBytes
import Testing

/// A small generator with a seed, so that a failure can be had again.
struct Dice: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

@Suite struct MutationTests {
    static let seeds: [String] = [
        #"{"messageId":"5f1","seq":123,"content":"Hello, \"world\" é漢😀\n","attachments":[],"wakeup":true}"#,
        #"["message.created",{"a":[1,2.5,-3e10,{"b":null}],"c":"\ud83d\ude00"},"offset"]"#,
        #"[[[[["deep"]]]],{"x":{"y":{"z":[true,false,null]}}},"a string longer than thirty-two bytes, by far"]"#,
    ]

    /// Walks everything there is to walk, and returns something that depends on it.
    func walk(_ view: JSONView, _ depth: Int = 0) -> Int {
        guard depth < 100 else { return 0 }
        var sum = view.rawBytes.count + (view.string?.utf8.count ?? 0) + (view.isEscaped ? 1 : 0)
        sum &+= Int(truncatingIfNeeded: view.int64 ?? 0) &+ Int(truncatingIfNeeded: view.uint64 ?? 0)
        if view.double != nil { sum &+= 1 }
        if view.equals("content") || view.bool == true || view.isNull { sum &+= 1 }
        view.forEachElement { element in
            sum &+= walk(element, depth + 1)
            return true
        }
        view.forEachMember { key, value in
            sum &+= walk(key, depth + 1) &+ walk(value, depth + 1)
            return true
        }
        _ = view["content"]
        return sum
    }

    @Test func noMutationTrapsOrReadsOutside() {
        var dice = Dice(state: 42)
        let pieces: [[UInt8]] = [
            [0x22], [0x5C], [0x7B], [0x7D], [0x5B], [0x5D], [0x2C], [0x3A], [0xC3], [0xFF], [0x00], [0x30],
            Array("\\u".utf8), Array("1e9".utf8), Array("-".utf8), Array("true".utf8),
        ]
        for round in 0..<20_000 {
            var text = Array(Self.seeds[round % Self.seeds.count].utf8)
            for _ in 0..<Int.random(in: 1...4, using: &dice) {
                let place = Int.random(in: 0..<max(1, text.count), using: &dice)
                switch Int.random(in: 0..<5, using: &dice) {
                case 0 where !text.isEmpty: text[place] = UInt8.random(in: 0...255, using: &dice)
                case 1 where !text.isEmpty: text.remove(at: place)
                case 2: text.insert(contentsOf: pieces.randomElement(using: &dice) ?? [], at: min(place, text.count))
                case 3: text.removeSubrange(min(place, text.count)...)
                default: text.append(contentsOf: text.prefix(place))
                }
            }
            let exact = UnsafeMutableRawBufferPointer.allocate(byteCount: text.count, alignment: 1)
            defer { exact.deallocate() }
            exact.copyBytes(from: text)
            let bytes = UnsafeRawBufferPointer(exact)
            let end = try? JSONBytes.validate(bytes)
            if let end {
                #expect(end <= text.count)
                // What is valid must survive being read as a tree and written again.
                let tree = JSONValue(JSONView(validated: bytes, start: 0, end: end))
                #expect((try? JSONValue(parsing: tree.serialized)) == tree)
            }
            // Views must stay inside even over text that was refused.
            _ = walk(JSONView(validated: bytes, start: 0, end: text.count))
            let start = Int.random(in: -3...text.count + 3, using: &dice)
            _ = walk(JSONView(validated: bytes, start: start, end: text.count + 3))
        }
    }
}
