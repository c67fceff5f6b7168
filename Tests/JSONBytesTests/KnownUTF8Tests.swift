import JSONBytes
import Testing

/// `isUTF8` changes how text is looked at, never what is found.
@Suite struct KnownUTF8Tests {
    private struct Outcome: Equatable {
        var end: Int?
        var offset: Int?
        var reason: String?
        var elements: [Int] = []
    }

    private func outcome(_ text: [UInt8], isUTF8: Bool) -> Outcome {
        // Exactly as long as the text, so that the address sanitizer sees a read beside it.
        let exact = UnsafeMutableRawBufferPointer.allocate(byteCount: text.count, alignment: 1)
        defer { exact.deallocate() }
        exact.copyBytes(from: text)
        var outcome = Outcome()
        do {
            outcome.end = try JSONBytes.validate(
                UnsafeRawBufferPointer(exact), from: 0, maximumDepth: 64, isUTF8: isUTF8
            ) { start, end, _ in outcome.elements += [start, end] }
        } catch {
            outcome.offset = error.offset
            outcome.reason = "\(error.reason)"
        }
        return outcome
    }

    @Test(arguments: [
        #"["é"]"#, #"["漢字と仮名"]"#, #"["😀😀😀😀😀😀😀😀"]"#, "[\"\u{2028}\u{FEFF}\u{10FFFF}\"]",
        #"{"ключ":"значение","キー":["値",1,{"ü":"ä"}]}"#, #"["0123456789abcdé","0123456789abcdeé"]"#,
        #"["é\n漢\"😀\\"]"#, #"["\u00e9é\ud83d\ude00😀"]"#, #""Grüße""#,
        // Broken, each in its own way.
        #"["é"#, #"["漢\"#, #"["漢\u00"#, #"["é\x"]"#, "[\"é\u{1}\"]", "[\"0123456789abcdeé\u{1F}\"]", "[\"é\"é]", "é",
        "[é]",
        #"{"é" 1}"#, #"{é:1}"#,
    ])
    func theSameIsFound(_ text: String) {
        let bytes = Array(text.utf8)
        #expect(outcome(bytes, isUTF8: true) == outcome(bytes, isUTF8: false), "\(text)")
        // At every place in a block of the search, and behind a prefix that shifts the characters against it.
        for shift in 0..<40 {
            let shifted =
                Array("[\"".utf8) + [UInt8](repeating: 0x78, count: shift) + Array("\",".utf8) + bytes + [0x5D]
            #expect(outcome(shifted, isUTF8: true) == outcome(shifted, isUTF8: false), "\(shift): \(text)")
        }
    }

    /// Text that stays UTF-8 whatever is changed in it.
    @Test func randomTextsAreJudgedAlike() {
        var dice = Dice(state: 7)
        let pieces = [
            "\"", "\\", "\\\"", "\\u00e9", "\\ud83d", "é", "漢", "😀", "\u{7F}", "\u{80}", "\u{7FF}", "\u{800}",
            "\u{FFFF}",
            "\u{10000}", "{", "}", "[", "]", ",", ":", "1", "-", "true", " ", "\n", "\u{1F}",
            "a string of some length ",
        ]
        var valid = 0
        for _ in 0..<30_000 {
            var text = "[\""
            for _ in 0..<Int.random(in: 0...12, using: &dice) { text += pieces.randomElement(using: &dice) ?? "" }
            if Bool.random(using: &dice) { text += "\"]" }
            let bytes = Array(text.utf8)
            let known = outcome(bytes, isUTF8: true)
            #expect(known == outcome(bytes, isUTF8: false), "\(text)")
            if known.end != nil { valid += 1 }
        }
        #expect(valid > 1000)
    }

    /// Said of text that is none, it misleads; but nothing is read outside and nothing traps.
    @Test func aWrongWordIsNoTrap() {
        var dice = Dice(state: 11)
        for _ in 0..<30_000 {
            var text = Array(#"["0123456789abcdefé漢","😀\n"]"#.utf8)
            for _ in 0..<3 {
                text[Int.random(in: 0..<text.count, using: &dice)] = UInt8.random(in: 0x70...0xFF, using: &dice)
            }
            text.removeSubrange(Int.random(in: 1...text.count, using: &dice)...)
            let judged = outcome(text, isUTF8: true)
            #expect((judged.end ?? 0) <= text.count && (judged.offset ?? 0) <= text.count)
        }
    }

    /// Names are compared as bytes; an escape may spell the same word otherwise.
    @Test func namesWithAndWithoutEscapes() throws {
        func equals(_ json: String, _ name: StaticString) throws -> Bool {
            let bytes = Array(json.utf8)
            return try bytes.withUnsafeBytes { bytes in
                try JSONBytes.validateWhole(bytes)
                return JSONView(exactly: bytes).equals(name)
            }
        }
        for (json, name, same) in [
            (#""message.created""#, "message.created" as StaticString, true),
            (#""message.create\u0064""#, "message.created", true), (#""message.createD""#, "message.created", false),
            (#""xessage.created""#, "message.created", false), (#""seq""#, "seq", true), (#""sek""#, "seq", false),
            (#""text""#, "text", true), (#""tent""#, "text", false), (#""xType""#, "xType", true), (#""""#, "", true),
            (#""grüße""#, "grüße", true), (#""gr\u00fcße""#, "grüße", true),
            // The same bytes as the escape, which stand for something else.
            (#""a\nb""#, "a\\nb", false), (#""a\\nb""#, "a\\nb", true), (#""01234567\n""#, "01234567\\n", false),
        ] {
            #expect(try equals(json, name) == same, "\(json)")
        }
    }

    /// Long text is passed in large blocks: what ends them is found wherever it stands.
    @Test(arguments: [true, false]) func whatEndsLongTextIsFoundAnywhere(_ isUTF8: Bool) {
        let start = 2
        for length in [1100, 1151, 1279] {
            let plain = Array("[\"".utf8) + [UInt8](repeating: 0x61, count: length) + Array("\"]".utf8)
            #expect(outcome(plain, isUTF8: isUTF8).end == plain.count)
            for place in start..<start + length {
                var text = plain
                text[place] = 0x1F
                #expect(outcome(text, isUTF8: isUTF8).offset == place)
                text[place] = 0x22
                #expect(outcome(text, isUTF8: isUTF8).elements == [1, place + 1])
                text[place] = 0x5C
                text[place + 1] = place + 1 < start + length ? 0x6E : 0x22
                #expect(outcome(text, isUTF8: isUTF8).end == (place + 1 < start + length ? plain.count : nil))
                guard !isUTF8 else { continue }
                text = plain
                text[place] = 0xFF
                #expect(outcome(text, isUTF8: false).offset == place)
            }
        }
    }
}
