import JSONBytes
import Testing

/// Validation that notes members finds what the other one finds, and notes what a walk finds.
@Suite struct NotesTests {
    private struct Outcome: Equatable {
        var end: Int?
        var error: JSONSyntaxError?
    }

    private struct Member: Equatable {
        var key: [UInt8]
        var value: [UInt8]
        var text: String?
    }

    private func member(_ key: JSONView, _ value: JSONView) -> Member {
        Member(key: Array(key.rawBytes), value: Array(value.rawBytes), text: value.string)
    }

    /// Looks at a text in both ways.
    private func check(_ text: [UInt8], isUTF8: Bool, depth: Int = 64) -> (members: Int, isValid: Bool) {
        // Exactly as long as the text, so that the address sanitizer sees a read beside it.
        let exact = UnsafeMutableRawBufferPointer.allocate(byteCount: text.count, alignment: 1)
        defer { exact.deallocate() }
        exact.copyBytes(from: text)
        let bytes = UnsafeRawBufferPointer(exact)
        let notes = JSONNotes()
        defer { notes.deallocate() }
        let words = "\(String(decoding: text, as: UTF8.self)), isUTF8 \(isUTF8), depth \(depth)"
        var (plain, noted) = (Outcome(), Outcome())
        var elements: [Range<Int>] = []
        do {
            plain.end = try JSONBytes.validate(bytes, maximumDepth: depth, isUTF8: isUTF8)
        } catch { plain.error = error }
        do {
            noted.end = try JSONBytes.validate(bytes, from: 0, maximumDepth: depth, isUTF8: isUTF8, notes: notes) {
                elements.append($0..<$1)
                if $2 { #expect(!bytes[$0..<$1].contains(0x5C), "\(words)") }
            }
        } catch { noted.error = error }
        #expect(plain == noted, "\(words)")
        guard noted.end != nil else { return (0, false) }
        var walked: [Member] = []
        if elements.count > 1 {
            JSONView(exactly: UnsafeRawBufferPointer(rebasing: bytes[elements[1]])).forEachMember {
                walked.append(member($0, $1))
                return true
            }
        }
        var found: [Member] = []
        notes.members(in: bytes)?.forEachMember {
            #expect(!($0.isPlain && $0.isEscaped) && !($1.isPlain && $1.isEscaped))
            found.append(member($0, $1))
            return true
        }
        #expect(found == (walked.count > 64 ? [] : walked), "\(words)")
        return (found.count, true)
    }

    @Test(arguments: [
        #"["e",{"a":1,"b":"two","c":[1,{"d":2}],"e":{"f":{}},"g":null,"h":true,"i":-1.5e3,"j":0}]"#,
        #" [ "e" , { "a" : 1 , "b\\n" : "\\u00e9" } , 3 ] "#, #"["e",{}]"#, #"["e",[]]"#, #"["e"]"#, "[]", "{}",
        #"[1,{"a":12}]"#, #"["e",{"a":12e}]"#, #"["e",{"a":01}]"#, #"["e",{"a":1 2}]"#, #"["e",{"a":}]"#,
        #"["e",{"a" 1}]"#, #"["e",{a:1}]"#, #"["e",{"a":1,}]"#, #"["e",{"a":1]"#, #"["e",{"a":1}"#, #"["e" {"a":1}]"#,
        #"["e",{"a":tru}]"#, #"["e",{"a":"é\\"}]"#, #"["e",{"a":{"b":[[[1]]]}}]"#, #"["e",{"a":1},{"b":2}]"#, "[", "[,",
    ])
    func theSameIsFound(_ text: String) {
        for isUTF8 in [false, true] {
            for depth in [0, 1, 2, 3, 5, 64] { _ = check(Array(text.utf8), isUTF8: isUTF8, depth: depth) }
            for length in 0..<text.utf8.count { _ = check(Array(text.utf8.prefix(length)), isUTF8: isUTF8) }
        }
    }

    @Test func moreMembersThanThereIsRoomFor() {
        func text(_ members: Int) -> [UInt8] {
            Array(("[\"e\",{" + (0..<members).map { "\"k\($0)\":\($0)" }.joined(separator: ",") + "}]").utf8)
        }
        #expect(check(text(64), isUTF8: true).members == 64)
        #expect(check(text(65), isUTF8: true).members == 0)
    }

    @Test func randomTexts() {
        var dice = Dice(state: 11)
        let pieces = [
            "\"", "\\", "\\\"", "\\u00e9", "é", "漢", "{", "}", "[", "]", ",", ":", "1", "-", "true", " ", "\n",
            "\u{1F}",
            "\"key\":", "\"value of some length, longer than a block\",", "17,",
        ]
        let whole = #"["message",{"id":"m-1","seq":12,"content":"Hello, \"world\"","list":[1,2],"wakeup":false}]"#
        var valid = 0
        for _ in 0..<20_000 {
            var text = Array(whole)
            for _ in 0..<Int.random(in: 0...2, using: &dice) {
                let place = Int.random(in: 0...text.count, using: &dice)
                if Bool.random(using: &dice), place < text.count { text.remove(at: place) }
                text.insert(contentsOf: pieces.randomElement(using: &dice) ?? "", at: min(place, text.count))
            }
            let bytes = Array(String(text).utf8)
            if check(bytes, isUTF8: Bool.random(using: &dice)).isValid { valid += 1 }
        }
        #expect(valid > 1000)
    }
}
