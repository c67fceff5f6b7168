/// Times as text has them, read into seconds since 1970.
public enum TimeText {
    /// A date with a time, as RFC 3339 and ISO 8601 write it: `2026-06-02T10:30:51.123Z`. Nil for anything else; a missing zone
    /// counts as UTC.
    public static func seconds(_ text: String) -> Double? {
        Array(text.utf8).withUnsafeBytes { seconds($0) }
    }

    /// The date of an HTTP header, in the one form that servers must send (RFC 9110, section 5.6.7):
    /// `Sun, 06 Nov 1994 08:49:37 GMT`. Nil for anything else, the two obsolete forms included.
    public static func httpSeconds(_ text: String) -> Double? {
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let parts = text.split(separator: " ")
        guard parts.count == 6, parts[0].hasSuffix(","), parts[5] == "GMT",
            let month = months.firstIndex(where: { $0 == parts[2] })
        else { return nil }
        let number = month < 9 ? "0\(month + 1)" : "\(month + 1)"
        return seconds("\(parts[3])-\(number)-\(parts[1])T\(parts[4])Z")
    }

    /// As ``seconds(_:)-(String)``, of the text's bytes.
    public static func seconds(_ text: UnsafeRawBufferPointer) -> Double? {
        var reader = Reader(text: text)
        guard let year = reader.number(4), reader.take("-"), let month = reader.number(2), reader.take("-"),
            let day = reader.number(2), reader.take("T") || reader.take("t") || reader.take(" "),
            let hour = reader.number(2), reader.take(":"), let minute = reader.number(2), reader.take(":"),
            let second = reader.number(2), (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60,
            second <= 60
        else { return nil }
        var value = Double(days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second)
        if reader.take(".") || reader.take(",") { value += reader.fraction() }
        guard let zone = reader.zone() else { return nil }
        return value - Double(zone)
    }

    /// A time as RFC 3339 writes it, in UTC with milliseconds: `2026-06-02T10:30:51.123Z`. What lies outside the years 1 to
    /// 9999 becomes the nearest that does not.
    /// - Parameter seconds: since 1970.
    public static func text(_ seconds: Double) -> String {
        let first = -62_135_596_800_000.0
        let last = 253_402_300_799_999.0
        let exact = (seconds * 1000).rounded()
        let milliseconds = Int(exact.isNaN ? 0 : min(max(exact, first), last))
        let (day, rest) = milliseconds.quotientAndRemainder(dividingBy: 86_400_000)
        let timeOfDay = rest < 0 ? rest + 86_400_000 : rest
        let date = date(rest < 0 ? day - 1 : day)
        var text: [UInt8] = []
        text.reserveCapacity(24)
        func put(_ value: Int, _ digits: Int, _ after: Unicode.Scalar) {
            var scale = 1
            for _ in 1..<digits { scale *= 10 }
            while scale > 0 {
                text.append(UInt8(48 + value / scale % 10))
                scale /= 10
            }
            text.append(UInt8(ascii: after))
        }
        put(date.year, 4, "-")
        put(date.month, 2, "-")
        put(date.day, 2, "T")
        put(timeOfDay / 3_600_000, 2, ":")
        put(timeOfDay / 60_000 % 60, 2, ":")
        put(timeOfDay / 1000 % 60, 2, ".")
        put(timeOfDay % 1000, 3, "Z")
        return String(decoding: text, as: UTF8.self)
    }

    /// The reverse of ``days(_:_:_:)``.
    private static func date(_ days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let fromMarch = (5 * dayOfYear + 2) / 153
        let month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * fromMarch + 2) / 5 + 1)
    }

    /// Days since 1970-01-01 in the Gregorian calendar, counting years from March.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private struct Reader {
        let text: UnsafeRawBufferPointer
        var at = 0

        mutating func number(_ digits: Int) -> Int? {
            guard at + digits <= text.count else { return nil }
            var value = 0
            for place in at..<(at + digits) {
                guard (0x30...0x39).contains(text[place]) else { return nil }
                value = value * 10 + Int(text[place] - 0x30)
            }
            at += digits
            return value
        }

        mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard at < text.count, text[at] == UInt8(ascii: character) else { return false }
            at += 1
            return true
        }

        mutating func fraction() -> Double {
            var value = 0.0
            var scale = 0.1
            while let digit = number(1) {
                value += Double(digit) * scale
                scale /= 10
            }
            return value
        }

        /// Offset in seconds; nil if something else stands there.
        mutating func zone() -> Int? {
            if at == text.count { return 0 }
            if take("Z") || take("z") { return at == text.count ? 0 : nil }
            let sign = take("+") ? 1 : take("-") ? -1 : 0
            guard sign != 0, let hours = number(2) else { return nil }
            _ = take(":")
            let minutes = at < text.count ? number(2) : 0
            guard let minutes, at == text.count else { return nil }
            return sign * (hours * 3600 + minutes * 60)
        }
    }
}
