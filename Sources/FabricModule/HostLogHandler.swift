import GatewayABI
import JSONBytes
import Logging

/// Hands log records to the host, which knows where they belong.
struct HostLogHandler: LogHandler {
    let port: HostPort
    var metadata: Logger.Metadata = [:]
    /// The host filters; records below debug are not made at all.
    var logLevel: Logger.Level = .debug

    init(port: HostPort) { self.port = port }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("message")
        writer.string("\(event.message)")
        writer.key("metadata")
        writer.beginObject()
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
        for (key, value) in all.sorted(by: { $0.key < $1.key }) {
            writer.key(key)
            writer.string("\(value)")
        }
        writer.endObject()
        writer.endObject()
        port.log(Self.level(event.level), writer.bytes)
    }

    private static func level(_ level: Logger.Level) -> Int32 {
        switch level {
        case .trace: Int32(GATEWAY_LOG_TRACE)
        case .debug: Int32(GATEWAY_LOG_DEBUG)
        case .info: Int32(GATEWAY_LOG_INFO)
        case .notice: Int32(GATEWAY_LOG_NOTICE)
        case .warning: Int32(GATEWAY_LOG_WARNING)
        case .error, .critical: Int32(GATEWAY_LOG_ERROR)
        }
    }
}
