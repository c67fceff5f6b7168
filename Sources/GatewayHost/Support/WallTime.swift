import GatewayControl
import Glibc
import JSONBytes
import Timing

/// The wall clock, for what people and files see. Everything that waits uses the monotonic clock.
enum WallTime {
    /// Seconds since 1970.
    static func now() -> Double { SystemClock.wall }

    /// ISO 8601 in UTC with milliseconds.
    static func text(_ seconds: Double) -> String {
        var whole = time_t(seconds.rounded(.down))
        var parts = tm()
        gmtime_r(&whole, &parts)
        let milliseconds = Int((seconds - seconds.rounded(.down)) * 1000)
        return pad(Int(parts.tm_year) + 1900, 4) + "-" + pad(Int(parts.tm_mon) + 1, 2) + "-"
            + pad(Int(parts.tm_mday), 2)
            + "T" + pad(Int(parts.tm_hour), 2) + ":" + pad(Int(parts.tm_min), 2) + ":" + pad(Int(parts.tm_sec), 2)
            + "." + pad(milliseconds, 3) + "Z"
    }

    /// Seconds since 1970 from ISO 8601 text in UTC or with an offset, or from a number of seconds or milliseconds.
    static func seconds(_ value: JSONValue) -> Double? {
        if let number = value.double {
            // 1e11 seconds is the year 5138; as milliseconds it is 1973.
            return number > 1e11 ? number / 1000 : number
        }
        guard let text = value.string else { return nil }
        let fields = text.split(whereSeparator: { "-T:Z+. ".contains($0) })
        guard fields.count >= 6, fields[0].count == 4, text.count >= 19 else { return nil }
        let numbers = fields.prefix(6).compactMap { Int32($0) }
        guard numbers.count == 6 else { return nil }
        var parts = tm()
        parts.tm_year = numbers[0] - 1900
        parts.tm_mon = numbers[1] - 1
        parts.tm_mday = numbers[2]
        parts.tm_hour = numbers[3]
        parts.tm_min = numbers[4]
        parts.tm_sec = numbers[5]
        var seconds = Double(timegm(&parts))
        var rest = text.dropFirst(19)
        if rest.first == "." {
            let digits = rest.dropFirst().prefix { $0.isNumber }
            seconds += Double("0." + digits) ?? 0
            rest = rest.dropFirst(1 + digits.count)
        }
        if let sign = rest.first, sign == "+" || sign == "-" {
            let digits = rest.dropFirst().filter(\.isNumber)
            guard digits.count == 4, let hours = Double(digits.prefix(2)), let minutes = Double(digits.suffix(2)) else {
                return nil
            }
            seconds -= (sign == "+" ? 1 : -1) * (hours * 3600 + minutes * 60)
        }
        return seconds
    }

    private static func pad(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
