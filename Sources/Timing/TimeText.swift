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
