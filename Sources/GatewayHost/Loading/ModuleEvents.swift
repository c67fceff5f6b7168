import GatewayABI
import GatewayControl

/// What a module tells the host. Called on threads of the module's; must return promptly.
public protocol ModuleEvents: AnyObject, Sendable {
    /// A message for an agent. The answer is TAKEN, ADOPTED or FINISHED.
    func deliver(_ delivery: [UInt8], from module: ModuleGeneration) -> DeliveryAnswer
    /// The status of one account changed.
    func accountChanged(_ status: [UInt8], from module: ModuleGeneration)
    /// One log record.
    func log(level: Int32, record: [UInt8], from module: ModuleGeneration)
}

/// Which load of a module speaks: 1 for the first, one more for each that was opened since.
public struct ModuleGeneration: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// 1, 2, 3, …
    public let number: UInt64
    /// The generation of that number.
    public init(_ number: UInt64) { self.number = number }
    /// Earlier loads come first.
    public static func < (a: Self, b: Self) -> Bool { a.number < b.number }
    /// The number.
    public var description: String { String(number) }
}

/// The answers to `deliver` that `gateway_channel.h` names.
public enum DeliveryAnswer: Int32, Sendable {
    case taken = 0
    case adopted = 1
    case finished = 2
}

/// The reports about a delivery that `gateway_channel.h` names.
public enum DeliveryOutcome: Int32, Sendable {
    case adopted = 1
    case finished = 2
    case failed = 3
}

/// The object behind the `context` pointer of one instance's callbacks: copies the borrowed bytes once and passes
/// them on. It lives until the instance's `shutdown` returned.
final class ModuleCallbacks: Sendable {
    let generation: ModuleGeneration
    let requests: ModuleRequests
    private let events: any ModuleEvents

    init(generation: ModuleGeneration, requests: ModuleRequests, events: any ModuleEvents) {
        self.generation = generation
        self.requests = requests
        self.events = events
    }

    /// The host's table with this object as its context, retained once. `release(_:)` gives it back.
    func retainedTable() -> gateway_host {
        gateway_host(
            abi_version: UInt32(GATEWAY_ABI_VERSION),
            struct_size: UInt32(MemoryLayout<gateway_host>.size),
            context: Unmanaged.passRetained(self).toOpaque(),
            deliver: { context, delivery in
                guard let callbacks = ModuleCallbacks.from(context) else { return DeliveryAnswer.taken.rawValue }
                let bytes = ModuleTable.bytes(delivery)
                return callbacks.events.deliver(bytes, from: callbacks.generation).rawValue
            },
            complete: { context, request, code, result in
                ModuleCallbacks.from(context)?.requests.complete(request, code: code, result: ModuleTable.bytes(result))
            },
            account_changed: { context, status in
                guard let callbacks = ModuleCallbacks.from(context) else { return }
                callbacks.events.accountChanged(ModuleTable.bytes(status), from: callbacks.generation)
            },
            log: { context, level, record in
                guard let callbacks = ModuleCallbacks.from(context) else { return }
                callbacks.events.log(level: level, record: ModuleTable.bytes(record), from: callbacks.generation)
            }, passing: nil)
    }

    static func release(_ table: gateway_host) {
        guard let context = table.context else { return }
        Unmanaged<ModuleCallbacks>.fromOpaque(context).release()
    }

    private static func from(_ context: UnsafeMutableRawPointer?) -> ModuleCallbacks? {
        context.map { Unmanaged<ModuleCallbacks>.fromOpaque($0).takeUnretainedValue() }
    }
}
