import GatewayControl
import JSONBytes
import Logging

/// A gateway: channels from modules, agents that answer, and a control socket, as one configuration file says.
///
/// `start`, `reload` and `stop` never overlap: each waits for the one before, except that `stop` cuts a reload short.
public actor Gateway {
    /// The numbers a gateway runs by; tests change them.
    public struct Options: Sendable {
        /// When accounts are restarted.
        public var supervisor = Supervisor.Configuration()
        /// How long the module may take for each request.
        public var deadlines = ChannelModule.Deadlines()
        /// How long a module may take to load and open.
        public var openDeadline: Duration = .seconds(5)
        /// How long running turns and queued sends may go on when the gateway stops. With the module's own closing the
        /// whole stop stays within 5 s.
        public var stopDrain: Duration = .seconds(3)
        /// The same when one account must restart.
        public var restartDrain: Duration = .seconds(2)
        /// The defaults.
        public init() {}
    }

    let configurationFile: String
    let options: Options
    let logger: Logger
    var configuration: GatewayConfiguration?
    var channels: [String: ChannelRuntime] = [:]
    var table = RoutingTable()
    var loader: ModuleLoader?
    private var slots: (count: Int, slots: CommandSlots)?
    private var lock: StateLock?
    private var control: ControlServer?
    private var last: Task<Void, Never>?
    private var cancelCurrent: (@Sendable () -> Void)?
    private(set) var stopping = false
    private let ended = Once<Void>()
    let startedAt = WallTime.now()

    /// - Parameter configurationFile: relative to the working directory, or absolute.
    public init(configurationFile: String, options: Options = .init(), logger: Logger) {
        self.configurationFile = Files.resolve(configurationFile, in: Files.workingDirectory())
        self.options = options
        self.logger = logger
    }

    /// Reads the configuration, takes the state directory, opens the modules, starts the accounts and listens for
    /// commands. A bad account does not stop the good ones; a bad configuration or module does.
    public func start() async throws(GatewayError) {
        try await serially { gateway in try await gateway.startNow() }
    }

    /// Waits until the gateway has stopped, for whatever reason.
    public func stopped() async { await ended.value() }

    /// Drains and stops. Idempotent; returns when nothing is left: no account, no thread, no socket, no copy.
    /// - Parameter drain: how long running turns may go on; the options' value if `nil`.
    public func stop(drain: Duration? = nil) async {
        guard !stopping else { return await ended.value() }
        stopping = true
        logger.notice("stopping")
        cancelCurrent?()
        await last?.value
        await stopNow(drain: drain ?? options.stopDrain)
        ended.decide(())
    }

    private func stopNow(drain: Duration) async {
        await withTaskGroup(of: Void.self) { group in
            for channel in channels.values { group.addTask { await channel.shutdown(drain: drain) } }
        }
        channels = [:]
        // Last, so that “stop” is answered when it is true; the answer itself is sent by the one who asked to stop.
        await control?.stop()
        control = nil
        lock = nil
        logger.notice("stopped")
    }

    private func startNow() async throws {
        let configuration = try GatewayConfiguration(file: configurationFile)
        let lock = try StateLock(directory: configuration.stateDirectory)
        do {
            let modules = try ModuleDirectory(path: configuration.stateDirectory + "/modules")
            let swept = modules.sweep()
            if swept > 0 { logger.info("removed \(swept) module copies of gateways that are gone") }
            loader = ModuleLoader(
                directory: modules, openDeadline: options.openDeadline, deadlines: options.deadlines, logger: logger)
            table = makeTable(configuration)
            for plugin in configuration.plugins where plugin.enabled {
                channels[plugin.id] = try await open(plugin, configuration)
            }
            let control = try ControlServer(stateDirectory: configuration.stateDirectory, logger: logger) {
                [weak self] in
                await self?.answer($0) ?? ControlAnswer.failure(GatewayError("the gateway is stopping"))
            }
            self.control = control
            self.lock = lock
            self.configuration = configuration
        } catch {
            await stopNow(drain: .zero)
            throw error
        }
        for channel in channels.values { await channel.startAccounts() }
        logger.notice(
            "gateway runs",
            metadata: ["configuration": "\(configuration.file)", "stateDirectory": "\(configuration.stateDirectory)"])
    }

    /// Opens a plugin's module with its settings; its accounts are not started.
    func open(_ plugin: GatewayConfiguration.Plugin, _ configuration: GatewayConfiguration) async throws
        -> ChannelRuntime
    {
        guard let loader else { throw GatewayError("the gateway is not started") }
        let manifest = try Self.manifest(of: plugin, configuration)
        let runtime = ChannelRuntime(
            setup: ChannelRuntime.Setup(
                channel: plugin.id, loader: loader, configurationFile: configuration.file,
                stateDirectory: configuration.stateDirectory, supervisor: options.supervisor,
                restartDrain: options.restartDrain, logger: logger),
            manifest: manifest, table: table)
        do {
            try await runtime.open(settings: configuration.channels[plugin.id] ?? [:])
        } catch {
            await runtime.shutdown(drain: .zero)
            throw error
        }
        return runtime
    }

    static func manifest(
        of plugin: GatewayConfiguration.Plugin, _ configuration: GatewayConfiguration
    ) throws -> ChannelManifest {
        let manifest = try ChannelManifest(path: plugin.manifest)
        guard manifest.id == plugin.id, manifest.channels.contains(plugin.id) else {
            throw GatewayError(
                "the manifest \(plugin.manifest) is of plugin “\(manifest.id)” for channels \(manifest.channels)",
                place: "\(configuration.file): plugins.\(plugin.id).manifest",
                remedy: "Name the plugin as its manifest does")
        }
        return manifest
    }

    /// The agents and bindings of a configuration.
    func makeTable(_ configuration: GatewayConfiguration) -> RoutingTable {
        let slots: CommandSlots
        if let current = self.slots, current.count == configuration.maximumCommands {
            slots = current.slots
        } else {
            slots = CommandSlots(configuration.maximumCommands)
            self.slots = (configuration.maximumCommands, slots)
        }
        var agents: [String: any Agent] = [:]
        for (name, settings) in configuration.agents {
            switch settings {
            case .echo: agents[name] = EchoAgent()
            case .command(let command):
                agents[name] = CommandAgent(name: name, configuration: command, slots: slots, logger: logger)
            }
        }
        return RoutingTable(agents: agents, bindings: configuration.bindings)
    }

    /// Runs one of `start` and `reload` after the one before it.
    func serially<T: Sendable>(
        _ body: @escaping @Sendable (isolated Gateway) async throws -> T
    ) async throws(GatewayError) -> T {
        guard !stopping else { throw GatewayError("the gateway is stopping") }
        let previous = last
        let task = Task {
            await previous?.value
            guard !stopping else { throw GatewayError("the gateway is stopping") }
            return try await body(self)
        }
        last = Task { _ = await task.result }
        cancelCurrent = { task.cancel() }
        do {
            return try await task.value
        } catch {
            throw GatewayError(error)
        }
    }
}
