import FabricChannel
import GatewayABI
import Synchronization

/// The host's function table, as the plugin's gateway.
final class HostPort: GatewayPort {
    // The table is plain data that never changes; the header says that its functions may be called from any thread.
    private nonisolated(unsafe) let host: gateway_host
    private let isOpen = Atomic<Bool>(true)

    init(_ host: gateway_host) { self.host = host }

    /// After this nothing reaches the host any more.
    func close() { isOpen.store(false, ordering: .sequentiallyConsistent) }

    func deliver(_ delivery: UnsafeRawBufferPointer) -> DeliveryAnswer {
        let bytes = gateway_bytes(
            data: delivery.baseAddress?.assumingMemoryBound(to: UInt8.self), count: delivery.count)
        switch Int(host.deliver(host.context, bytes)) {
        case Int(GATEWAY_DELIVERY_ADOPTED): return .adopted
        case Int(GATEWAY_DELIVERY_FINISHED): return .finished
        default: return .taken
        }
    }

    func accountChanged(_ status: [UInt8]) {
        guard isOpen.load(ordering: .sequentiallyConsistent) else { return }
        status.withGatewayBytes { host.account_changed(host.context, $0) }
    }

    var hearsPassing: Bool { host.passing != nil }

    func passing(_ event: [UInt8]) {
        guard let passing = host.passing, isOpen.load(ordering: .sequentiallyConsistent) else { return }
        event.withGatewayBytes { passing(host.context, $0) }
    }

    func complete(_ request: UInt64, _ result: RequestResult) {
        guard isOpen.load(ordering: .sequentiallyConsistent) else { return }
        let code =
            switch result.code {
            case .ok: Int32(GATEWAY_OK)
            case .invalid: Int32(GATEWAY_INVALID)
            case .failed: Int32(GATEWAY_FAILED)
            case .unavailable: Int32(GATEWAY_UNAVAILABLE)
            case .shutDown: Int32(GATEWAY_SHUT_DOWN)
            }
        result.json.withGatewayBytes { host.complete(host.context, request, code, $0) }
    }

    func log(_ level: Int32, _ record: [UInt8]) {
        guard isOpen.load(ordering: .sequentiallyConsistent) else { return }
        record.withGatewayBytes { host.log(host.context, level, $0) }
    }
}

extension [UInt8] {
    func withGatewayBytes(_ body: (gateway_bytes) -> Void) {
        withUnsafeBufferPointer { body(gateway_bytes(data: $0.baseAddress, count: $0.count)) }
    }
}

/// Strings at a fixed address, for as long as this lives.
final class CStrings: Sendable {
    // Written once, before anybody else sees the object; freed with it.
    private nonisolated(unsafe) let strings: [UnsafeMutableBufferPointer<UInt8>]

    init(_ texts: [String]) {
        strings = texts.map { text in
            let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: text.utf8.count)
            _ = copy.initialize(from: text.utf8)
            return copy
        }
    }

    deinit { for string in strings { string.deallocate() } }

    subscript(_ index: Int) -> gateway_bytes {
        gateway_bytes(data: UnsafePointer(strings[index].baseAddress), count: strings[index].count)
    }
}
