import Foundation

/// JSON text from and to Foundation's untyped form.
enum JSONText {
    /// JSON `null` as a value of an untyped dictionary.
    static var null: any Sendable { NSNull() }

    /// The text of a dictionary or an array. Only values this module builds come here, so it cannot fail; were it to,
    /// the text is `null`, which a test would see.
    static func bytes(_ object: Any) -> [UInt8] {
        var text: [UInt8] = []
        write(object, to: &text)
        return text
    }

    /// Foundation's writer takes most of the simulator's time where many messages are pushed.
    private static func write(_ value: Any, to text: inout [UInt8]) {
        // By its very type: a cast would take numbers for truth values, and copies collections.
        let type = type(of: value)
        if type == String.self, let value = value as? String {
            write(value, to: &text)
        } else if type == Bool.self, let value = value as? Bool {
            text += value ? "true".utf8 : "false".utf8
        } else if type == Int.self || type == Int64.self {
            text += "\(value)".utf8
        } else if let members = value as? [String: any Sendable] {
            text.append(UInt8(ascii: "{"))
            for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { text.append(UInt8(ascii: ",")) }
                write(member.key, to: &text)
                text.append(UInt8(ascii: ":"))
                write(member.value, to: &text)
            }
            text.append(UInt8(ascii: "}"))
        } else if let elements = value as? [any Sendable] {
            text.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { text.append(UInt8(ascii: ",")) }
                write(element, to: &text)
            }
            text.append(UInt8(ascii: "]"))
        } else if value is NSNull {
            text += "null".utf8
        } else {
            let data = try? JSONSerialization.data(
                withJSONObject: value, options: [.sortedKeys, .withoutEscapingSlashes, .fragmentsAllowed])
            text += data ?? Data("null".utf8)
        }
    }

    private static func write(_ value: String, to text: inout [UInt8]) {
        text.append(UInt8(ascii: "\""))
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): text += [UInt8(ascii: "\\"), byte]
            case 0x0A: text += "\\n".utf8
            case 0..<0x20: text += (byte < 0x10 ? "\\u000" : "\\u00").utf8 + Array(String(byte, radix: 16).utf8)
            default: text.append(byte)
            }
        }
        text.append(UInt8(ascii: "\""))
    }

    static func encode(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(value)).map(Array.init) ?? Array("null".utf8)
    }

    /// A JSON object, or nil if the text is something else.
    static func object(_ bytes: [UInt8]) -> [String: Any]? {
        guard let value = try? JSONSerialization.jsonObject(with: Data(bytes)) else { return nil }
        return value as? [String: Any]
    }

    /// A list of JSON objects, or nil if the text is something else.
    static func objects(_ bytes: [UInt8]) -> [[String: Any]]? {
        (try? JSONSerialization.jsonObject(with: Data(bytes))) as? [[String: Any]]
    }

    /// NestJS's error body.
    static func error(status: Int, message: String) -> [UInt8] {
        let names = [
            400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict",
            413: "Payload Too Large", 429: "Too Many Requests", 500: "Internal Server Error",
            503: "Service Unavailable",
        ]
        var object: [String: any Sendable] = ["message": message, "statusCode": status]
        if let name = names[status] { object["error"] = name }
        return bytes(object)
    }

    /// As HTTP's `Date` has it (RFC 9110, 5.6.7): whole seconds, rounded down.
    static func httpDate(_ seconds: Double) -> String {
        var whole = time_t(min(max(seconds, 0), 1e11))
        var parts = tm()
        gmtime_r(&whole, &parts)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return
            "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(parts.tm_year + 1900) "
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
    }

    /// ISO 8601 in UTC with milliseconds, as JavaScript prints it.
    static func time(_ seconds: Double) -> String {
        let whole = Int64(min(max((seconds * 1000).rounded(.down), 0), 2.5e14))
        var second = time_t(whole / 1000)
        var parts = tm()
        gmtime_r(&second, &parts)
        func digits(_ number: some BinaryInteger, _ count: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        let day = "\(digits(parts.tm_year + 1900, 4))-\(digits(parts.tm_mon + 1, 2))-\(digits(parts.tm_mday, 2))"
        let time = "\(digits(parts.tm_hour, 2)):\(digits(parts.tm_min, 2)):\(digits(parts.tm_sec, 2))"
        return "\(day)T\(time).\(digits(whole % 1000, 3))Z"
    }

    /// The time of ``time(_:)``.
    static func seconds(_ text: String) -> Double? {
        (try? Date(
            text,
            strategy: .iso8601.year().month().day().time(includingFractionalSeconds: true).timeZone(
                separator: .omitted)))?.timeIntervalSince1970
    }
}
