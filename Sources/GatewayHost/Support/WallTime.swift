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
        return value.string.flatMap(TimeText.seconds)
    }

    private static func pad(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
