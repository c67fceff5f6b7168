import GatewayABI
import GatewayControl
import JSONBytes
import Threads

/// One open instance of a channel module: the C table as async Swift.
///
/// Requests are numbered and answered from foreign threads; each ends exactly once, at the latest when the instance is
/// shut down. After `shutdown()` began, everything ends with `shutDown`.
public final class PluginModule: Sendable {
    /// How long each request may take before the host gives up on it. The header says that no call waits and that
    /// stop and shutdown take at most 5 s; the rest is patience.
    public struct Deadlines: Sendable {
        /// For `configure`.
        public var configure: Duration = .seconds(10)
        /// For `start_account`.
        public var start: Duration = .seconds(10)
        /// For `stop_account`, beyond its drain.
        public var stop: Duration = .seconds(7)
        /// For `status`.
        public var status: Duration = .seconds(5)
        /// For `command`.
        public var command: Duration = .seconds(30)
        /// For `shutdown`.
        public var shutdown: Duration = .seconds(7)
        /// The defaults.
        public init() {}
    }

    /// Which load this is.
    public let generation: ModuleGeneration
    /// The id the module gives itself.
    public let id: String
    /// The module's semantic version.
    public let version: String
    /// The private copy it runs from.
    public let copy: String

    private let table: ModuleTable
    private let host: HostTable
    private let requests: ModuleRequests
    private let deadlines: Deadlines
    private let removeCopy: @Sendable () -> Void

    init(
        table: ModuleTable, host: HostTable, requests: ModuleRequests, generation: ModuleGeneration, copy: String,
        deadlines: Deadlines, removeCopy: @escaping @Sendable () -> Void
    ) {
        self.table = table
        self.host = host
        self.requests = requests
        self.generation = generation
        self.id = table.id
        self.version = table.version
        self.copy = copy
        self.deadlines = deadlines
        self.removeCopy = removeCopy
    }

    /// Validates and adopts a configuration, whole or not at all.
    public func configure(_ configuration: JSONValue) async throws(ModuleRefusal) -> JSONValue {
        try await ask("configure", configuration, deadlines.configure, table.functions.configure)
    }

    /// Starts an account, with what another instance handed over, if given.
    public func start(account: String, handover: JSONValue? = nil) async throws(ModuleRefusal) {
        var request: [String: JSONValue] = ["accountId": .string(account)]
        if let handover { request["handover"] = handover }
        _ = try await ask("start_account", .object(request), deadlines.start, table.functions.start_account)
    }

    /// Stops an account. With `handover` the answer is the object for `start` of another instance; it holds
    /// credentials and must stay in memory.
    /// - Parameters:
    ///   - drain: how long running turns and queued sends may still finish; at most 5 s.
    ///   - patience: how long the module may take beyond the drain; the deadlines' value if `nil`.
    @discardableResult
    public func stop(
        account: String, drain: Duration = .zero, handover: Bool = false, patience: Duration? = nil
    ) async throws(ModuleRefusal) -> JSONValue? {
        var request: [String: JSONValue] = ["accountId": .string(account)]
        if drain > .zero { request["drainSeconds"] = .double(min(5, drain / .seconds(1))) }
        if handover { request["handover"] = true }
        let limit = (patience ?? deadlines.stop) + drain
        let answer = try await ask("stop_account", .object(request), limit, table.functions.stop_account)
        return handover ? answer["handover"] : nil
    }

    /// Hands over a message. The module has it when this returns, so that a `settle` after it comes after it.
    public func send(_ message: JSONValue) -> SendReceipt {
        let bytes = message.serialized
        let (_, answer) = requests.begin { number in
            ModuleTable.lend(bytes) { table.functions.send(table.functions.instance, number, $0) }
        }
        return SendReceipt(answer: answer)
    }

    /// What will become of a message. The module may hold it for hours, so there is no deadline.
    public struct SendReceipt: Sendable {
        let answer: Once<ModuleRequests.Answer>

        /// Waits for `{"messageId","seq"}`.
        public func result() async throws(ModuleRefusal) -> JSONValue {
            JSONValue.parsed(try await answer.value().get()) ?? [:]
        }
    }

    /// Reports what became of a delivery; `false` if the instance is shutting down.
    @discardableResult
    public func settle(_ delivery: String, _ outcome: DeliveryOutcome) -> Bool {
        requests.callNow {
            ModuleTable.lend(Array(delivery.utf8)) {
                table.functions.settle(table.functions.instance, $0, outcome.rawValue)
            }
        }
    }

    /// The status of one account, or of all.
    public func status(account: String? = nil) async throws(ModuleRefusal) -> JSONValue {
        let query: JSONValue = account.map { ["accountId": .string($0)] } ?? [:]
        return try await ask("status", query, deadlines.status, table.functions.status)
    }

    /// A command of the module's own, such as `deadLetters.list`.
    public func command(_ name: String, _ arguments: [String: JSONValue] = [:]) async throws(ModuleRefusal) -> JSONValue
    {
        try await begin(command: name, arguments).result()
    }

    /// Hands over a command. The module has it when this returns, so that whatever is asked later comes after it.
    /// - Parameter limit: how long it may take; the deadlines' value if `nil`.
    func begin(
        command name: String, _ arguments: [String: JSONValue], within limit: Duration? = nil
    ) -> CommandReceipt {
        var request = arguments
        request["command"] = .string(name)
        let bytes = JSONValue.object(request).serialized
        let (number, answer) = requests.begin { number in
            ModuleTable.lend(bytes) { table.functions.command(table.functions.instance, number, $0) }
        }
        return CommandReceipt(
            name: name, number: number, answer: answer, limit: limit ?? deadlines.command, module: self)
    }

    /// What will become of a command.
    struct CommandReceipt: Sendable {
        let name: String
        let number: UInt64
        let answer: Once<ModuleRequests.Answer>
        let limit: Duration
        let module: PluginModule

        /// Waits for the answer, for as long as a command may take.
        func result() async throws(ModuleRefusal) -> JSONValue {
            try module.tree(
                of: await module.requests.answer(to: name, number, answer, within: limit), name)
        }
    }

    /// Ends the instance: no callback, no thread of it afterwards. Idempotent. The code stays mapped for ever.
    /// - Returns: `false` if the module did not come back within the deadline; then its context is kept alive for it.
    @discardableResult
    public func shutdown() async -> Bool {
        guard await requests.close() else { return true }
        let ended = Once<Bool>()
        let (table, host) = (table, host)
        do {
            // Blocks up to 5 s: not on a thread of Swift's pool.
            try NamedThread.start("module-shutdown") {
                table.functions.shutdown(table.functions.instance)
                ModuleCallbacks.release(host.functions)
                ended.decide(true)
            }
        } catch {
            ended.decide(false)
        }
        // A stop that is cancelled must still wait here, or the host would go on while callbacks may come.
        let limit = deadlines.shutdown
        let inTime = await Task.detached { await ended.value(within: limit, or: false) }.value
        requests.abandon()
        removeCopy()
        return inTime
    }

    private typealias Function =
        @convention(c) (UnsafeMutableRawPointer?, UInt64, gateway_bytes) -> Void

    private func ask(
        _ name: String, _ request: JSONValue, _ limit: Duration, _ function: Function
    ) async throws(ModuleRefusal) -> JSONValue {
        let bytes = request.serialized
        let answer = await requests.perform(name, within: limit) { number in
            ModuleTable.lend(bytes) { function(table.functions.instance, number, $0) }
        }
        return try tree(of: answer, name)
    }

    private func tree(of answer: ModuleRequests.Answer, _ name: String) throws(ModuleRefusal) -> JSONValue {
        let result = try answer.get()
        guard !result.isEmpty else { return [:] }
        guard let tree = JSONValue.parsed(result) else {
            throw ModuleRefusal(.failed, "the module answered \(name) with something that is not JSON", place: id)
        }
        return tree
    }
}

/// The host's table as one instance got it.
///
/// `@unchecked Sendable`: never changed after it was made; its context is a retained `Sendable` object.
struct HostTable: @unchecked Sendable {
    let functions: gateway_host
}
