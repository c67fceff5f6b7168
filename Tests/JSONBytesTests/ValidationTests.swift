import JSONBytes
import Testing

func validate(_ bytes: [UInt8], from offset: Int = 0, depth: Int = 64) throws(JSONSyntaxError) -> Int {
    // An exact allocation, so that a read outside is seen by the sanitizers.
    let exact = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { exact.deallocate() }
    exact.copyBytes(from: bytes)
    return try JSONBytes.validate(UnsafeRawBufferPointer(exact), from: offset, maximumDepth: depth)
}

func reason(_ text: [UInt8], depth: Int = 64) -> JSONSyntaxError.Reason? {
    do throws(JSONSyntaxError) {
        _ = try validate(text, depth: depth)
        return nil
    } catch { return error.reason }
}

func reason(_ text: String, depth: Int = 64) -> JSONSyntaxError.Reason? { reason(Array(text.utf8), depth: depth) }

@Suite struct ValidationTests {
    @Test(arguments: [
        "null", "true", "false", "0", "-0", "1", "-12", "1.5", "1e5", "1E+5", "1e-5", "0.1e1", "1e999",
        "123456789012345678901234567890", "\"\"", "\"a\"", #""\"\\\/\b\f\n\r\tA""#, #""\ud83d\ude00""#,
        #""\uD800""#, "[]", "{}", "[ ]", "{ }", "[1,2,3]", "{\"a\":1}", " \t\r\n[ 1 , { \"a\" : null } ] ",
        "\"é漢😀\"", "\"\u{7F}\"", "[\"a long string with more than sixteen bytes\", \"é and then more than 16\"]",
        "[[[[[]]]]]", #"{"a":{"b":[{"c":"d"}]}}"#, #"{"a":1,"a":2}"#, "\"\u{10FFFF}\"", "\"\u{FFFF}\"",
    ]) func accepts(_ text: String) throws {
        let end = try validate(Array(text.utf8))
        var expected = text.utf8.count
        while let last = text.utf8.prefix(expected).last, [0x20, 0x09, 0x0A, 0x0D].contains(last) { expected -= 1 }
        #expect(end == expected)
    }

    @Test(arguments: [
        ("", JSONSyntaxError.Reason.unexpectedEnd), ("   ", .unexpectedEnd), ("[", .unexpectedEnd),
        ("[1", .unexpectedEnd), ("[1,", .unexpectedEnd), ("[1,]", .expectedValue), ("[,1]", .expectedValue),
        ("{", .unexpectedEnd), ("{\"a\"", .unexpectedEnd), ("{\"a\":", .unexpectedEnd), ("{\"a\":1", .unexpectedEnd),
        ("{\"a\":1,}", .expectedKey), ("{a:1}", .expectedKey), ("{1:1}", .expectedKey), ("{\"a\" 1}", .expectedColon),
        ("{\"a\":1 \"b\":2}", .expectedCommaOrEnd), ("[1 2]", .expectedCommaOrEnd), ("[1}", .expectedCommaOrEnd),
        ("{\"a\":1]", .expectedCommaOrEnd), ("]", .expectedValue), ("}", .expectedValue), ("'a'", .expectedValue),
        ("NaN", .expectedValue), ("Infinity", .expectedValue), ("nul", .unexpectedEnd), ("nulL", .invalidLiteral),
        ("nux", .invalidLiteral), ("True", .expectedValue), ("falsy", .invalidLiteral), ("fals", .unexpectedEnd),
        ("-", .unexpectedEnd), ("-a", .invalidNumber), ("01", .invalidNumber), ("-01", .invalidNumber),
        ("00", .invalidNumber), ("1.", .unexpectedEnd), ("1.a", .invalidNumber), ("1e", .unexpectedEnd),
        ("1e+", .unexpectedEnd), ("1ex", .invalidNumber), (".5", .expectedValue), ("+1", .expectedValue),
        ("\"a", .unexpectedEnd), ("\"a\nb\"", .controlCharacter), ("\"\u{0}\"", .controlCharacter),
        ("\"\u{1F}\"", .controlCharacter), (#""\x""#, .invalidEscape), (#""\u12G4""#, .invalidEscape),
        (#""\u12"#, .unexpectedEnd), ("\"\\", .unexpectedEnd), ("\u{FEFF}1", .expectedValue),
        ("/* */1", .expectedValue),
        ("\"exactly sixteen.\u{1}\"", .controlCharacter), ("\u{B}1", .expectedValue),
    ]) func refuses(_ text: String, _ expected: JSONSyntaxError.Reason) {
        #expect(reason(text) == expected)
    }

    @Test(
        arguments: [
            [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF], [0xED, 0xA0, 0x80],
            [0xED, 0xBF, 0xBF], [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80],
            [0xF5, 0x80, 0x80, 0x80], [0xFF], [0xFE], [0xC2, 0x41], [0xE2, 0x82, 0x41], [0xF0, 0x9F, 0x98, 0x41],
            [0xC2, 0x22], [0xC3, 0xA9, 0x80],
        ] as [[UInt8]]) func refusesMalformedUTF8(_ sequence: [UInt8])
    {
        for padding in [0, 1, 13, 14, 15, 16, 17, 40] {
            let text = [0x22] + [UInt8](repeating: 0x61, count: padding) + sequence + [0x22]
            #expect(reason(text) == .invalidUTF8)
        }
    }

    @Test func everyScalarPasses() throws {
        for value in stride(from: UInt32(0x20), through: 0x10FFFF, by: 7) {
            guard let scalar = Unicode.Scalar(value), value != 0x22, value != 0x5C else { continue }
            let text = Array("\"\(Character(scalar))\"".utf8)
            #expect(reason(text) == nil)
        }
    }

    @Test func depthIsCapped() {
        func nested(_ count: Int) -> String {
            String(repeating: "[", count: count) + String(repeating: "]", count: count)
        }
        #expect(reason(nested(64)) == nil)
        #expect(reason(nested(65)) == .tooDeep)
        #expect(reason(nested(1000), depth: 100_000) == .tooDeep)
        #expect(reason(String(repeating: "[", count: 200_000)) == .tooDeep)
        #expect(reason(String(repeating: "{\"a\":", count: 200_000)) == .tooDeep)
        #expect(reason(nested(3), depth: 3) == nil)
        #expect(reason(nested(4), depth: 3) == .tooDeep)
        #expect(reason("1", depth: 0) == nil)
        #expect(reason("[]", depth: 0) == .tooDeep)
        let mixed = String(repeating: "[{\"a\":", count: 32) + "1" + String(repeating: "}]", count: 32)
        #expect(reason(mixed) == nil)
    }

    @Test func whatFollowsIsTheCallers() throws {
        #expect(try validate(Array("[1] x".utf8)) == 3)
        #expect(try validate(Array("1]".utf8)) == 1)
        #expect(try validate(Array("12[\"a\"]".utf8), from: 2) == 7)
        #expect(throws: JSONSyntaxError(offset: 4, reason: .trailingBytes)) {
            try Array("[1] x".utf8).withUnsafeBytes { try JSONBytes.validateWhole($0) }
        }
        try Array(" [1] \n".utf8).withUnsafeBytes { try JSONBytes.validateWhole($0) }
    }

    @Test func offsetsOutsideAreRefused() {
        #expect(throws: JSONSyntaxError(offset: 5, reason: .invalidOffset)) { try validate([0x31], from: 5) }
        #expect(throws: JSONSyntaxError(offset: -1, reason: .invalidOffset)) { try validate([0x31], from: -1) }
        #expect(throws: JSONSyntaxError(offset: 1, reason: .unexpectedEnd)) { try validate([0x31], from: 1) }
        #expect(throws: JSONSyntaxError.self) { try JSONBytes.validate(UnsafeRawBufferPointer(start: nil, count: 0)) }
    }

    @Test func elementsAreReported() throws {
        let text = Array(#" [ "a" , {"b":[1,2]} ,[3],4 ] "#.utf8)
        var found: [String] = []
        _ = try text.withUnsafeBytes { bytes in
            try JSONBytes.validate(bytes, from: 0, maximumDepth: 8) { start, end, _ in
                found.append(String(decoding: bytes[start..<end], as: UTF8.self))
            }
        }
        #expect(found == ["\"a\"", "{\"b\":[1,2]}", "[3]", "4"])
    }

    @Test func everyTruncationIsRefused() {
        let text = Array(
            #"{"a":[1.5e3,true,null,"é漢😀\n\u00e9\ud83d\ude00 a long string of text"],"b":{"c":false}}"#.utf8)
        #expect(reason(text) == nil)
        for length in 0..<text.count {
            #expect(reason(Array(text[..<length])) == .unexpectedEnd, "\(length)")
        }
    }
}
