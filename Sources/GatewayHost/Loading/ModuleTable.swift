import GatewayABI

/// The function table of one open instance.
///
/// `@unchecked Sendable`: the table is never changed after `gateway_channel_open` filled it, and the contract allows
/// every function of it from any thread, also from several at once. `ChannelModule` sees to it that none is used after
/// `shutdown` began.
struct ModuleTable: @unchecked Sendable {
    let functions: gateway_channel

    /// Refuses a table that the host cannot use.
    init(_ functions: gateway_channel, path: String) throws(ModuleError) {
        guard functions.abi_version == GATEWAY_ABI_VERSION else {
            throw ModuleError(
                .version, "the module speaks ABI version \(functions.abi_version), this gateway \(GATEWAY_ABI_VERSION)",
                place: path, remedy: "Install the module that belongs to this gateway, or the other way round")
        }
        guard functions.struct_size >= UInt32(MemoryLayout<gateway_channel>.size) else {
            throw ModuleError(
                .version,
                "the module's table has \(functions.struct_size) bytes, \(MemoryLayout<gateway_channel>.size) are needed",
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
