import GatewayControl
import Glibc
import JSONBytes
import Locking
import Logging

/// Where the log goes: lines for people on a terminal, JSON lines otherwise, repeats folded.
public final class GatewayLog: Sendable {
    /// Lines for people, or JSON lines for machines.
    public enum Format: Sendable { case human, json }

    private let folder = Locked(RecordFolder())
    private let format: Format
    private let write: @Sendable (String) -> Void
    private let drain: @Sendable () -> Void

    /// - Parameters:
    ///   - write: takes one line with its line end; must not log, and must not wait.
    ///   - drain: waits until what was given to `write` is where it belongs.
    public init(
        format: Format, write: @escaping @Sendable (String) -> Void, drain: @escaping @Sendable () -> Void = {}
    ) {
        self.format = format
        self.write = write
        self.drain = drain
    }

    /// To standard error; human-readable if that is a terminal.
    public static func standardError() -> GatewayLog {
        let writer = LogWriter(descriptor: 2)
        return GatewayLog(format: isatty(2) == 1 ? .human : .json, write: writer.write, drain: writer.drain)
    }

    /// A logger that writes here.
    public func logger(label: String = "gateway", level: Logger.Level = .info) -> Logger {
        var handler = GatewayLogHandler(log: self, label: label)
        handler.logLevel = level
        return Logger(label: label) { _ in handler }
    }

    /// Writes what was counted and not told of for long enough, or all of it.
    public func flush(all: Bool = true) {
        // Lines are written inside the lock, so that their order is that of the records.
        folder.withLock { folder in
            for output in folder.expire(at: .now, all: all) { write(line(output)) }
        }
        if all { drain() }
    }

    func take(_ record: LogRecord) {
        folder.withLock { folder in
            for output in folder.take(record, at: .now) { write(line(output)) }
        }
    }

    func line(_ output: RecordFolder.Output, at time: Double = WallTime.now()) -> String {
        let record = output.record
        switch format {
        case .human:
            let details = record.metadata.map { "\($0.key)=\($0.value.printable(lineBreak: "\n    "))" }.joined(
                separator: " ")
            let repeats = output.repeats > 0 ? " (\(output.repeats) more times)" : ""
            let level = record.level.uppercased()
            let padding = String(repeating: " ", count: max(1, 8 - level.utf8.count))
            return WallTime.text(time).dropFirst(11).dropLast() + " " + level + padding
                + record.message.printable(lineBreak: "\n    ")
                + repeats + (details.isEmpty ? "" : "  " + details) + "\n"
        case .json:
            var object: [String: JSONValue] = [
                "time": .string(WallTime.text(time)), "level": .string(record.level), "logger": .string(record.label),
                "message": .string(record.message),
            ]
            if output.repeats > 0 { object["repeats"] = .int(Int64(output.repeats)) }
            if !record.metadata.isEmpty {
                object["metadata"] = .object(
                    Dictionary(record.metadata.map { ($0.key, .string($0.value)) }, uniquingKeysWith: { $1 }))
            }
            return JSONValue.object(object).line + "\n"
        }
    }
}

/// The `LogHandler` in front of a `GatewayLog`.
struct GatewayLogHandler: LogHandler {
    let log: GatewayLog
    let label: String
    var logLevel: Logger.Level = .info
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    init(log: GatewayLog, label: String) {
        self.log = log
        self.label = label
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let extra = event.metadata { all.merge(extra) { $1 } }
        if let error = event.error { all["error"] = "\(error)" }
        log.take(
            LogRecord(
                level: event.level.rawValue, label: label, message: event.message.description,
                metadata: all.sorted { $0.key < $1.key }.map {
                    LogRecord.Pair(key: $0.key, value: $0.value.description)
                }))
    }
}
