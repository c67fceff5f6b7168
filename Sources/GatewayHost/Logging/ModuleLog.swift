import GatewayABI
import GatewayControl
import JSONBytes
import Logging

/// A module's log records as records of the gateway's. The module keeps secrets out of them.
struct ModuleLog: Sendable {
    let logger: Logger

    func write(level: Int32, record: [UInt8], generation: ModuleGeneration) {
        let level = Self.level(level)
        guard level >= logger.logLevel else { return }
        guard let tree = JSONValue.parsed(record) else {
            logger.warning("the module wrote a log record that is not JSON")
            return
        }
        var metadata: Logger.Metadata = [:]
        for (key, value) in tree["metadata"]?.object ?? [:] { metadata[key] = .string(value.string ?? value.line) }
        logger.log(level: level, "\(tree["message"]?.string ?? "")", metadata: metadata)
    }

    private static func level(_ level: Int32) -> Logger.Level {
        switch Int(level) {
        case ...Int(GATEWAY_LOG_TRACE): .trace
        case Int(GATEWAY_LOG_DEBUG): .debug
        case Int(GATEWAY_LOG_INFO): .info
        case Int(GATEWAY_LOG_NOTICE): .notice
        case Int(GATEWAY_LOG_WARNING): .warning
        default: .error
        }
    }
}
