import Foundation

/// JSON text from and to Foundation's untyped form.
enum JSONText {
    /// JSON `null` as a value of an untyped dictionary.
    static var null: any Sendable { NSNull() }

    /// The text of a dictionary or an array. Only values this module builds come here, so it cannot fail; were it to,
    /// the text is `null`, which a test would see.
    static func bytes(_ object: Any) -> [UInt8] {
        guard JSONSerialization.isValidJSONObject(object),
            let data = try? JSONSerialization.data(
                withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes])
        else { return Array("null".utf8) }
        return Array(data)
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
        Date(timeIntervalSince1970: seconds).formatted(
            .iso8601.year().month().day().time(includingFractionalSeconds: true).timeZone(separator: .omitted))
    }

    /// The time of ``time(_:)``.
    static func seconds(_ text: String) -> Double? {
        (try? Date(
            text,
            strategy: .iso8601.year().month().day().time(includingFractionalSeconds: true).timeZone(
                separator: .omitted)))?.timeIntervalSince1970
    }
}
