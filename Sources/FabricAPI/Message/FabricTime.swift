import JSONBytes
import Timing

/// Times as Fabric writes them: `2026-06-02T10:30:51.123Z`.
public enum FabricTime {
    /// Seconds since 1970. Nil for anything but a date with time, as a JSON string; a missing zone counts as UTC. A
    /// number is taken as milliseconds, as JavaScript has them, if it is one of this millennium.
    public static func seconds(_ view: JSONView) -> Double? {
        if let number = view.double { return number > 1e11 ? number / 1000 : number }
        guard let text = view.stringBytes else { return nil }
        return TimeText.seconds(text)
    }
}
