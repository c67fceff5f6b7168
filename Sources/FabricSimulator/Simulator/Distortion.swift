/// Exchanges one value in the JSON of an answer or an event for another: what a server sends that is broken, or means harm.
struct Distortion: Sendable {
    private var random: SeededGenerator

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    /// Whether it is to strike this time.
    /// - Parameter share: of all times, 0 to 1.
    mutating func strikes(_ share: Double) -> Bool {
        share > 0 && Double.random(in: 0..<1, using: &random) < share
    }

    /// The text with another value, or another name, in one place; the text itself where there is none.
    mutating func distort(_ text: [UInt8]) -> [UInt8] {
        guard let place = Self.values(in: text).randomElement(using: &random),
            let other = Self.replacements.randomElement(using: &random)
        else { return text }
        return Array(text[..<place.lowerBound]) + Array(other.utf8) + Array(text[place.upperBound...])
    }

    /// A header's value that is none.
    mutating func header() -> String { Self.headers.randomElement(using: &random) ?? "" }

    private static let headers = [
        "", "0", "-1", "1e308", "9223372036854775807", "99999999999999999999999", "Thu, 31 Feb 99999 25:61:61 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "nonsense",
    ]

    private static let replacements =
        [
            "9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551616", "1e308",
            "-1e308", "1e999", "1e-320", "0.5", "-1", "0", "-0", "1", "9007199254740992", "9007199254740993",
            "253402300800000", "1e17", "2147483648", "4294967296",
            #""9223372036854775807""#, #""-9223372036854775808""#, #""1e308""#, #""NaN""#, #""-1""#,
            "null", "true", "false", "[]", "{}", #""""#, #"" ""#, #""\u0000""#, #""\ud800""#, #""\u202e/../..""#,
            "[[[[1]]]]",
            #"{"id":{"id":[]}}"#, #""/""#, #"":""#, #""fabric:x/y""#, #""http://[::1""#, #""//""#, #""?""#,
            #""9999-12-31T23:59:59.999999999999Z""#, #""0000-00-00T00:00:00Z""#, #""2026-01-01T00:00:00+99:99""#,
        ] + [
            "\"\(String(repeating: "x", count: 70_000))\"",
            String(repeating: "[", count: 120) + String(repeating: "]", count: 120),
            "[" + [String](repeating: "{}", count: 3000).joined(separator: ",") + "]",
        ]

    /// Where values stand, and names: numbers, words and strings, and whole objects and arrays.
    private static func values(in text: [UInt8]) -> [Range<Int>] {
        var found: [Range<Int>] = []
        var open: [Int] = []
        var at = text.firstIndex { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "[") } ?? text.count
        while at < text.count {
            switch text[at] {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                open.append(at)
                at += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                at += 1
                if let start = open.popLast() { found.append(start..<at) }
            case UInt8(ascii: "\""):
                let start = at
                at += 1
                while at < text.count, text[at] != UInt8(ascii: "\"") { at += text[at] == UInt8(ascii: "\\") ? 2 : 1 }
                at = min(at + 1, text.count)
                found.append(start..<at)
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"):
                let start = at
                while at < text.count, !",:{}[]\" \n".utf8.contains(text[at]) { at += 1 }
                found.append(start..<at)
            default: at += 1
            }
        }
        return found
    }
}
