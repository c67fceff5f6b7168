import ChannelStore
import FabricAccounts
import Foundation
import JSONBytes
import Locking
import Logging
import SocketIO

/// One instance of the plugin: a configuration, the accounts that run, and what they share. Instances know nothing of
/// each other; any number live side by side.
///
/// Every request returns at once and is answered by its completion, exactly once; see the C header for their JSON.
public actor PluginInstance {
    private nonisolated let loop: RealtimeLoop
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    let gateway: any GatewayPort
    let logger: Logger
    let version: String
    private nonisolated let open = Locked(OpenRequests())

    /// What is kept, in the state directory; there is one as soon as the plugin is configured.
    private(set) var store: (any ChannelStore)?
    private var storeObservation: UInt64 = 0
    /// What there is where the store is shared with other gateways.
    var sharing: SharingState?
    private let chosenStore: SharedStoreChoice?
    var setup: InstanceSetup?
    var resources: SharedResources
    /// The users that are agents of this instance.
    let agents = AgentDirectory()
    /// By account: how much of what was said last its deliveries are to have.
    var historyWishes: [String: HistoryWish] = [:]
    /// The slash commands that the gateway offers.
    let commands = CommandCatalogue()
    var accounts: [String: Account] = [:]
    /// Accounts being stopped; a start waits for the stop to end.
    var stopping: [String: Task<Handover, Never>] = [:]
    /// The same accounts, which still take the messages of their last turns.
    var draining: [String: Account] = [:]

    private struct OpenRequests {
        var isShutDown = false
        var next: UInt64 = 0
        var completions: [UInt64: @Sendable (RequestResult) -> Void] = [:]
    }

    /// - Parameters:
    ///   - gateway: where messages and status go.
    ///   - logger: used for everything; never given a secret.
    ///   - version: reported by `status`.
    ///   - sharedStore: what is kept is kept there, whatever the configuration says; for tests.
    /// - Throws: when the realtime loop cannot start (`RealtimeLoop.SetupError`).
    public init(
        gateway: any GatewayPort, logger: Logger, version: String, sharedStore: SharedStoreChoice? = nil
    ) throws {
        var configuration = RealtimeLoop.Configuration()
        configuration.threadName = "fabric-realtime"
        loop = try RealtimeLoop(configuration: configuration)
        self.gateway = gateway
        self.logger = logger
        self.version = version
        chosenStore = sharedStore
        resources = SharedResources(loop: loop, gateway: gateway, logger: logger)
    }

    // MARK: The store

    /// Opens what is kept in the state directory; only the first time, for a state directory is for life.
    func openStore(_ setup: InstanceSetup) {
        guard store == nil else { return }
        let choice = chosenStore ?? databaseStore(setup)
        let store: any ChannelStore = choice?.store ?? sqliteStore(setup.stateDirectory)
        self.store = store
        storeObservation = store.observe { [weak self] _ in
            guard let self else { return }
            self.loop.execute { self.assumeIsolated { $0.storeChanged() } }
        }
        if let choice { share(choice, setup: setup) }
    }

    private func sqliteStore(_ stateDirectory: String) -> SQLiteChannelStore {
        SQLiteChannelStore(path: stateDirectory + "/channel.db", log: storeLog)
    }

    private func databaseStore(_ setup: InstanceSetup) -> SharedStoreChoice? {
        guard let settings = setup.configuration.sharedStore, let address = setup.database else { return nil }
        let store = PostgreSQLChannelStore(
            PostgreSQLSettings(
                keywords: Self.keywords(address), place: address.description, schema: settings.schema), log: storeLog)
        return SharedStoreChoice(
            store, gateway: settings.gatewayName(stateDirectory: setup.stateDirectory), weight: settings.weight,
            beatSeconds: settings.beatSeconds, leaseSeconds: settings.leaseSeconds)
    }

    /// A running gateway gets another weight, or another password of the same database.
    func adoptSharing(_ setup: InstanceSetup) {
        RememberedStore.write(sharing == nil ? nil : setup.rememberedStore, setup.stateDirectory)
        if let weight = setup.configuration.sharedStore?.weight { sharing?.keeper.adopt(weight: weight) }
        guard let store = store as? PostgreSQLChannelStore, let address = setup.database else { return }
        store.use(keywords: Self.keywords(address))
    }

    private static func keywords(_ address: PostgreSQLAddress) -> [String: String] {
        Dictionary(address.keywords.map { ($0.name, $0.value.reveal()) }) { first, _ in first }
    }

    private var storeLog: @Sendable (StoreLogLevel, String) -> Void {
        let logger = logger
        return { level, text in
            switch level {
            case .info: logger.info("\(text)")
            case .warning: logger.warning("\(text)")
            case .error: logger.error("\(text)")
            }
        }
    }

    /// Runs `body` on the loop after some time, unless the instance is gone by then.
    func schedule(after delay: Duration, _ body: @escaping @Sendable (isolated PluginInstance) -> Void) -> LoopTimer {
        loop.schedule(after: delay) { [weak self] in self?.assumeIsolated { body($0) } }
    }

    // As it is now, for news of several threads may come in any order.
    private func storeChanged() {
        guard let isGood = store.map({ $0.health == .good }) else { return }
        for account in Array(accounts.values) + Array(draining.values) {
            account.assumeIsolated { $0.handle(.storeHealth(isGood: isGood)) }
        }
    }

    // MARK: Entrances, from any thread

    /// Runs a request on the instance, in the order of the calls.
    public nonisolated func request(
        _ handler:
            @escaping @Sendable (isolated PluginInstance, [UInt8], @escaping @Sendable (RequestResult) -> Void) -> Void,
        _ json: [UInt8], completion: @escaping @Sendable (RequestResult) -> Void
    ) {
        let number = open.withLock { open -> UInt64? in
            if open.isShutDown { return nil }
            open.next += 1
            open.completions[open.next] = completion
            return open.next
        }
        guard let number else { return completion(Self.shutDown.result) }
        loop.execute {
            self.assumeIsolated { instance in
                handler(instance, json) { result in self.finish(number, result) }
            }
        }
    }

    private nonisolated func finish(_ number: UInt64, _ result: RequestResult) {
        open.withLock { $0.completions.removeValue(forKey: number) }?(result)
    }

    private static var shutDown: RequestProblem {
        RequestProblem(
            .shutDown, "the plugin is shut down", at: "fabric", remedy: "open a new instance", retryable: false)
    }

    /// Reports what became of a delivery, in the order of the calls.
    public nonisolated func settle(_ delivery: String, _ outcome: DeliveryOutcome) {
        loop.execute {
            self.assumeIsolated { instance in
                guard let account = instance.owner(of: delivery) else { return }
                account.assumeIsolated { $0.settle(delivery, outcome) }
            }
        }
    }

    /// Delivery ids begin with the account's id and a slash; an id may itself hold slashes.
    private func owner(of delivery: String) -> Account? {
        var end = delivery.startIndex
        while let slash = delivery[end...].firstIndex(of: "/") {
            let id = String(delivery[..<slash])
            if let account = accounts[id] ?? draining[id] { return account }
            end = delivery.index(after: slash)
        }
        return nil
    }

    /// Stops everything and waits for it, at most 5 s; open requests are answered with `.shutDown`. Afterwards nothing of
    /// the instance runs. Not from the realtime loop.
    public nonisolated func shutdown() {
        open.withLock { $0.isShutDown = true }
        let done = DispatchSemaphore(value: 0)
        Task.detached {
            await self.stopEverything()
            done.signal()
        }
        // Half a second is left for the threads to be joined.
        if done.wait(timeout: .now() + .milliseconds(4500)) == .timedOut {
            logger.error("the plugin did not stop in time; its threads are ended all the same")
        }
        let left = open.withLock { open in
            defer { open.completions = [:] }
            return Array(open.completions.values)
        }
        for completion in left { completion(Self.shutDown.result) }
        loop.shutdown()
    }

    private func stopEverything() async {
        endSharing()
        let running = Array(accounts.values)
        accounts = [:]
        for id in draining.keys { hurry(id) }
        await withTaskGroup(of: Void.self) { group in
            for account in running { group.addTask { _ = await account.stop(drain: .zero) } }
            for task in stopping.values { group.addTask { _ = await task.value } }
        }
        await resources.shutdown()
        guard let store else { return }
        store.stopObserving(storeObservation)
        await sharing?.store.leave(within: .seconds(1))
        await BlockingCall.run { store.close(within: .seconds(1)) }
    }

    // MARK: Helpers of the requests

    /// The account named by a request.
    func accountID(in json: [UInt8]) throws(RequestProblem) -> (id: String, request: JSONValue) {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: json)
        } catch {
            throw RequestProblem(
                .invalid, "the request is not JSON: \(error)", at: "request", remedy: "send one JSON object")
        }
        return (try value.requiredAccount(), value)
    }
}
