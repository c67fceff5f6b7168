import GatewayABI
import GatewayControl

/// The function table of one open instance.
///
/// `@unchecked Sendable`: the table is never changed after `gateway_channel_open` filled it, and the header allows
/// every function of it from any thread, also from several at once. `PluginModule` sees to it that none is used after
/// `shutdown` began.
struct ModuleTable: @unchecked Sendable {
    let functions: gateway_channel

    /// Refuses a table that the host cannot use. What a module of an earlier build does not have is absent.
    /// - Parameter filled: the host's place as the module left it.
    init(_ filled: gateway_channel, path: String) throws(ModuleError) {
        let said = Int(filled.struct_size)
        var (functions, source) = (gateway_channel(), filled)
        let size = MemoryLayout<gateway_channel>.size
        gateway_copy_table(&functions, size, &source, min(said, size))
        guard filled.abi_version == GATEWAY_ABI_VERSION else {
            throw ModuleError(
                .version, "the module speaks ABI version \(filled.abi_version), this gateway \(GATEWAY_ABI_VERSION)",
                place: path, remedy: "Install the module that belongs to this gateway, or the other way round")
        }
        guard said >= GATEWAY_CHANNEL_SIZE_1 else {
            throw ModuleError(
                .version,
                "the module's table has \(said) bytes, version 1 began with \(GATEWAY_CHANNEL_SIZE_1)",
                place: path, remedy: "Build the module against this gateway's gateway_channel.h")
        }
        guard functions.configure != nil, functions.start_account != nil, functions.stop_account != nil,
            functions.send != nil, functions.settle != nil, functions.status != nil, functions.command != nil,
            functions.shutdown != nil
        else {
            throw ModuleError(
                .version, "the module's table lacks a function", place: path,
                remedy: "Build the module against this gateway's gateway_channel.h")
        }
        self.functions = functions
    }

    var id: String { Self.text(functions.id) }
    var version: String { Self.text(functions.version) }

    /// A copy of borrowed bytes.
    static func bytes(_ borrowed: gateway_bytes) -> [UInt8] {
        guard let data = borrowed.data, borrowed.count > 0 else { return [] }
        return [UInt8](UnsafeBufferPointer(start: data, count: borrowed.count))
    }

    static func text(_ borrowed: gateway_bytes) -> String { String(decoding: bytes(borrowed), as: UTF8.self) }

    /// Lends bytes for the time of a call.
    static func lend<R>(_ bytes: [UInt8], _ body: (gateway_bytes) -> R) -> R {
        bytes.withUnsafeBufferPointer { body(gateway_bytes(data: $0.baseAddress, count: $0.count)) }
    }
}
