import FabricChannel
import FabricVersion
import GatewayABI
import Logging

/// The one exported symbol: opens an instance of the plugin for a host.
// The header names it, and its parameters.
// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gateway_channel_open(
    _ host: UnsafePointer<gateway_host>?, _ out: UnsafeMutablePointer<gateway_channel>?,
    _ error: UnsafeMutablePointer<CChar>?, _ error_capacity: Int
) -> Int32 {
    func refuse(_ text: String) -> Int32 {
        guard let error, error_capacity > 0 else { return Int32(GATEWAY_INVALID) }
        var at = 0
        for byte in text.utf8 where at < error_capacity - 1 {
            error[at] = CChar(bitPattern: byte)
            at += 1
        }
        error[at] = 0
        return Int32(GATEWAY_INVALID)
    }
    guard let host, let out else { return refuse("the host passed no function table") }
    guard host.pointee.abi_version == UInt32(GATEWAY_ABI_VERSION) else {
        return refuse(
            "the host speaks ABI version \(host.pointee.abi_version), this module version \(GATEWAY_ABI_VERSION)")
    }
    let (hostSize, place) = (Int(host.pointee.struct_size), Int(out.pointee.struct_size))
    guard hostSize >= GATEWAY_HOST_SIZE_1 else {
        return refuse("the host's function table has \(hostSize) bytes, version 1 began with \(GATEWAY_HOST_SIZE_1)")
    }
    guard place >= GATEWAY_CHANNEL_SIZE_1 else {
        return refuse(
            "the host's place for the module's function table has \(place) bytes, "
                + "version 1 began with \(GATEWAY_CHANNEL_SIZE_1)")
    }
    var table = gateway_host()
    gateway_copy_table(&table, MemoryLayout<gateway_host>.size, host, hostSize)
    guard table.deliver != nil, table.complete != nil, table.account_changed != nil, table.log != nil else {
        return refuse("the host's function table lacks a function")
    }
    do {
        let instance = try ModuleInstance(host: table)
        var functions = instance.table
        // Not by assignment: the host may have room for less than this module's table.
        gateway_copy_table(out, place, &functions, MemoryLayout<gateway_channel>.size)
        return Int32(GATEWAY_OK)
    } catch {
        return refuse("the plugin cannot start: \(error)")
    }
}

/// What stands behind the table's instance pointer.
final class ModuleInstance: Sendable {
    let port: HostPort
    let plugin: PluginInstance
    /// The id and the version, for as long as the host may read them.
    private let names: CStrings

    init(host: gateway_host) throws {
        port = HostPort(host)
        let port = port
        let logger = Logger(label: "fabric") { _ in HostLogHandler(port: port) }
        let version = String(cString: fabric_plugin_version())
        plugin = try PluginInstance(gateway: port, logger: logger, version: version)
        names = CStrings(["fabric", version])
    }

    var table: gateway_channel {
        gateway_channel(
            abi_version: UInt32(GATEWAY_ABI_VERSION), struct_size: UInt32(MemoryLayout<gateway_channel>.size),
            instance: Unmanaged.passRetained(self).toOpaque(), id: names[0], version: names[1],
            configure: { ModuleInstance.request($0, $1, $2) { $0.configure($1, completion: $2) } },
            start_account: { ModuleInstance.request($0, $1, $2) { $0.startAccount($1, completion: $2) } },
            stop_account: { ModuleInstance.request($0, $1, $2) { $0.stopAccount($1, completion: $2) } },
            send: { ModuleInstance.request($0, $1, $2) { $0.send($1, completion: $2) } },
            settle: { ModuleInstance.settle($0, $1, $2) },
            status: { ModuleInstance.request($0, $1, $2) { $0.status($1, completion: $2) } },
            command: { ModuleInstance.request($0, $1, $2) { $0.command($1, completion: $2) } },
            shutdown: { ModuleInstance.shutdown($0) })
    }

    private typealias Handler =
        @Sendable (isolated PluginInstance, [UInt8], @escaping @Sendable (RequestResult) -> Void) -> Void

    private static func request(
        _ pointer: UnsafeMutableRawPointer?, _ number: UInt64, _ bytes: gateway_bytes, _ handler: @escaping Handler
    ) {
        guard let instance = of(pointer) else { return }
        let text = Array(UnsafeBufferPointer(start: bytes.data, count: bytes.data == nil ? 0 : bytes.count))
        let port = instance.port
        instance.plugin.request(
            handler, text, completion: { port.complete(number, $0) })
    }

    private static func settle(_ pointer: UnsafeMutableRawPointer?, _ delivery: gateway_bytes, _ outcome: Int32) {
        guard let instance = of(pointer) else { return }
        let settled: DeliveryOutcome
        switch Int(outcome) {
        case Int(GATEWAY_DELIVERY_ADOPTED): settled = .adopted
        case Int(GATEWAY_DELIVERY_FINISHED): settled = .finished
        case Int(GATEWAY_DELIVERY_FAILED): settled = .failed
        default: return
        }
        let bytes = UnsafeBufferPointer(start: delivery.data, count: delivery.data == nil ? 0 : delivery.count)
        instance.plugin.settle(String(decoding: bytes, as: UTF8.self), settled)
    }

    private static func shutdown(_ pointer: UnsafeMutableRawPointer?) {
        guard let pointer else { return }
        let instance = Unmanaged<ModuleInstance>.fromOpaque(pointer).takeRetainedValue()
        instance.plugin.shutdown()
        instance.port.close()
    }

    private static func of(_ pointer: UnsafeMutableRawPointer?) -> ModuleInstance? {
        pointer.map { Unmanaged<ModuleInstance>.fromOpaque($0).takeUnretainedValue() }
    }
}
