import JSONBytes
import Testing

func view<T>(_ text: String, _ body: (JSONView) throws -> T) throws -> T {
    try Array(text.utf8).withUnsafeBytes { bytes in
        let end = try JSONBytes.validate(bytes)
        return try body(JSONView(validated: bytes, start: 0, end: end))
    }
}

@Suite struct ViewTests {
    @Test func kinds() throws {
        let expected: [(String, JSONKind)] = [
            ("null", .null), (" true ", .bool), ("false", .bool), ("-1", .number), ("0", .number), ("\"\"", .string),
            ("[]", .array), (" {} ", .object),
        ]
        for (text, kind) in expected { try view(text) { #expect($0.kind == kind) } }
        #expect(JSONView(validated: UnsafeRawBufferPointer(start: nil, count: 0), start: 0, end: 9).isNull)
    }

    @Test func strings() throws {
        let texts: [(String, String, Bool)] = [
            (#""""#, "", false), (#""plain""#, "plain", false), (#""a\"b\\c\/d""#, "a\"b\\c/d", true),
            (#""\b\f\n\r\t""#, "\u{8}\u{C}\n\r\t", true), (#""\u00e9\u6f22""#, "é漢", true),
            (#""\ud83d\ude00!""#, "😀!", true), (#""\ud83d""#, "\u{FFFD}", true), (#""\ude00x""#, "\u{FFFD}x", true),
            (#""\ud83d\ud83d\ude00""#, "\u{FFFD}😀", true), (#""\ud83dA""#, "\u{FFFD}A", true),
            (#""é漢😀 and a text longer than sixteen""#, "é漢😀 and a text longer than sixteen", false),
            (#""\u0000""#, "\u{0}", true),
        ]
        for (text, expected, escaped) in texts {
            try view(text) {
                #expect($0.string == expected)
                #expect($0.isEscaped == escaped)
            }
        }
        try view("12") { #expect($0.string == nil && $0.stringBytes == nil && !$0.isEscaped) }
    }

    @Test func equality() throws {
        try view(#"{"content":"message","k\u0065y":"a\nb","ab\\cd":1}"#) { object in
            var keys = 0
            object.forEachMember { key, value in
                switch keys {
                case 0:
                    #expect(key.equals("content") && !key.equals("contents") && !key.equals("conten"))
                    #expect(!key.equals("") && !key.equals("xontent") && value.equals("message"))
                case 1: #expect(key.equals("key") && !key.equals("kex") && value.equals("a\nb") && !value.equals("a\n"))
                default: #expect(key.equals("ab\\cd") && !key.equals(#"ab\\cd"#) && !value.equals("1"))
                }
                keys += 1
                return true
            }
            #expect(keys == 3)
            #expect(object["key"]?.string == "a\nb")
            #expect(object["absent"] == nil)
        }
        try view(#""""#) { #expect($0.equals("") && !$0.equals("a")) }
    }

    @Test func numbers() throws {
        try view("12") { #expect($0.int64 == 12 && $0.uint64 == 12 && $0.double == 12) }
        try view("-12") { #expect($0.int64 == -12 && $0.uint64 == nil) }
        try view("12.0") { #expect($0.int64 == 12) }
        try view("1e3") { #expect($0.int64 == 1000) }
        try view("12.5") { #expect($0.int64 == nil && $0.double == 12.5) }
        try view("9223372036854775807") { #expect($0.int64 == .max) }
        try view("-9223372036854775808") { #expect($0.int64 == .min) }
        try view("9223372036854775808") { #expect($0.int64 == nil && $0.uint64 == 9_223_372_036_854_775_808) }
        try view("18446744073709551615") { #expect($0.uint64 == .max) }
        try view("18446744073709551616") { #expect($0.uint64 == nil && $0.double != nil) }
        try view("1e999") { #expect($0.double == nil && $0.int64 == nil && $0.uint64 == nil) }
        try view("-0") { #expect($0.int64 == 0) }
        try view("\"12\"") { #expect($0.int64 == nil && $0.double == nil && $0.uint64 == nil) }
        try view("true") { #expect($0.bool == true && $0.int64 == nil) }
        try view("false") { #expect($0.bool == false) }
        try view("null") { #expect($0.bool == nil && $0.isNull) }
    }

    @Test func walking() throws {
        try view(#"[ 1 , "two]" , [3,[4]] , {"five":"}"} , null ]"#) { array in
            var seen: [String] = []
            array.forEachElement {
                seen.append(String(decoding: $0.rawBytes, as: UTF8.self))
                return true
            }
            #expect(seen == ["1", "\"two]\"", "[3,[4]]", "{\"five\":\"}\"}", "null"])
            var first = 0
            array.forEachElement { _ in
                first += 1
                return first < 2
            }
            #expect(first == 2)
            array.forEachMember { _, _ in
                Issue.record("an array has no members")
                return false
            }
        }
        for empty in ["[]", "{}", "[ ]", "{ }", "1", "\"[1]\""] {
            try view(empty) {
                $0.forEachElement { _ in
                    Issue.record("nothing to report")
                    return true
                }
                $0.forEachMember { _, _ in
                    Issue.record("nothing to report")
                    return true
                }
            }
        }
    }
}
