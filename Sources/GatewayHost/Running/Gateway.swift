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
        public var deadlines = PluginModule.Deadlines()
        /// How long a module may take to load and open.
        public var openDeadline: Duration = .seconds(5)
        /// How long running turns and queued sends may go on when the gateway stops. With the module's own closing the
        /// whole stop stays within 5 s.
        public var stopDrain: Duration = .seconds(3)
        /// The same when one account must restart.
        public var restartDrain: Duration = .seconds(2)
        /// The program that agents start to use tools: this one.
        public var executable = TurnTools.thisProgram()
        /// Whether descriptors are held back for turns: for a process that is a gateway and nothing else.
        public var reservesDescriptors = false
        /// The defaults.
        public init() {}
    }

    let configurationFile: String
    let options: Options
    let logger: Logger
    var configuration: GatewayConfiguration?
    var plugins: [String: PluginRuntime] = [:]
    var table = RoutingTable()
    var loader: ModuleLoader?
    var slots: CommandSlots?
    /// Agents whose processes stay, by name.
    var companions: [String: ACPAgent] = [:]
    private var directories: TurnDirectories?
    /// What running turns may use tools by.
    nonisolated let capabilities = Capabilities()
    /// Calls of tools under way.
    nonisolated let calls = ToolCalls()
    /// Held back so that turns can start when sockets have taken all other descriptors.
    let reserve = DescriptorReserve()
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
            for runtime in plugins.values { group.addTask { await runtime.shutdown(drain: drain) } }
        }
        plugins = [:]
        await keep([:], atOnce: true)
        // Last, so that “stop” is answered when it is true; the answer itself is sent by the one who asked to stop.
        await control?.stop()
        control = nil
        directories?.remove()
        lock = nil
        logger.notice("stopped")
    }

    private func startNow() async throws {
        let configuration = try GatewayConfiguration(file: configurationFile)
        let lock = try StateLock(directory: configuration.stateDirectory)
        capabilities.onEnd { [weak self] grant in Task { await self?.cancelCalls(of: grant) } }
        do {
            let modules = try ModuleDirectory(path: configuration.stateDirectory + "/modules")
            let swept = modules.sweep()
            if swept > 0 { logger.info("removed \(swept) module copies of gateways that are gone") }
            loader = ModuleLoader(
                directory: modules, openDeadline: options.openDeadline, deadlines: options.deadlines, logger: logger)
            directories = try TurnDirectories(stateDirectory: configuration.stateDirectory)
            let routes = try routes(of: configuration)
            (table, slots) = (routes.table, routes.slots)
            for plugin in configuration.plugins where plugin.enabled {
                plugins[plugin.id] = try await open(plugin, configuration)
            }
            let control = try ControlServer(stateDirectory: configuration.stateDirectory, logger: logger) {
                [weak self] in
                await self?.answer($0) ?? ControlAnswer.failure(GatewayError("the gateway is stopping"))
            }
            self.control = control
            self.lock = lock
            self.configuration = configuration
            await keep(routes.companions)
        } catch {
            await stopNow(drain: .zero)
            throw error
        }
        reserve.hold(descriptorsToReserve(configuration))
        for problem in configuration.commandProblems { logger.error("an agent cannot be run: \(problem)") }
        for runtime in plugins.values {
            await runtime.offer(configuration.commands)
            await runtime.startAccounts()
        }
        await sayWhatFits()
        logger.notice(
            "gateway runs",
            metadata: ["configuration": "\(configuration.file)", "stateDirectory": "\(configuration.stateDirectory)"])
    }

    /// Opens a plugin's module with its settings; its accounts are not started.
    func open(_ plugin: GatewayConfiguration.Plugin, _ configuration: GatewayConfiguration) async throws
        -> PluginRuntime
    {
        guard let loader else { throw GatewayError("the gateway is not started") }
        let manifest = try Self.manifest(of: plugin, configuration)
        let runtime = PluginRuntime(
            setup: PluginRuntime.Setup(
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

    /// What commands need at once, but no more than an eighth of all there are.
    func descriptorsToReserve(_ configuration: GatewayConfiguration) -> Int {
        guard options.reservesDescriptors else { return 0 }
        return min(configuration.maximumCommands * CommandProcess.descriptors, DescriptorLimit.current.soft / 8)
    }

    /// Every account takes a descriptor for its connection to each guild, and now and then one for a request.
    private func sayWhatFits() async {
        guard options.reservesDescriptors else { return }
        var accounts = 0
        for runtime in plugins.values { accounts += await runtime.supervisor.runningAccounts.count }
        let limit = DescriptorLimit.current.soft
        let free = max(0, limit - DescriptorLimit.left(of: limit) - (DescriptorLimit.open ?? limit))
        let metadata: Logger.Metadata = [
            "accounts": "\(accounts)", "limit": "\(limit)", "free": "\(free)", "reserved": "\(reserve.held)",
        ]
        // One guild each at least; an eighth more for requests.
        if accounts + accounts / 8 > free {
            logger.error(
                "too few descriptors for so many accounts: there is room for about \(free - free / 9) connections",
                metadata: metadata.merging(["remedy": "raise the limit (ulimit -Hn, LimitNOFILE)"]) { $1 })
        } else {
            logger.info("there are descriptors for about \(free - free / 9) connections", metadata: metadata)
        }
    }

    static func manifest(
        of plugin: GatewayConfiguration.Plugin, _ configuration: GatewayConfiguration
    ) throws -> PluginManifest {
        let manifest = try PluginManifest(path: plugin.manifest)
        guard manifest.id == plugin.id, manifest.channels.contains(plugin.id) else {
            throw GatewayError(
                "the manifest \(plugin.manifest) is of plugin “\(manifest.id)” for channels \(manifest.channels)",
                place: "\(configuration.file): plugins.\(plugin.id).manifest",
                remedy: "Name the plugin as its manifest does")
        }
        return manifest
    }

    /// The agents and bindings of a configuration, and the places of its commands. Has no effect.
    func routes(
        of new: GatewayConfiguration
    ) throws(GatewayError) -> Routes {
        guard let directories else { throw GatewayError("the gateway is not started") }
        let tools = TurnTools(
            capabilities: capabilities, executable: options.executable, stateDirectory: new.stateDirectory)
        var companions: [String: ACPAgent] = [:]
        // Commands that run keep their places, so the bound holds across a reload that does not change it.
        let isSame = new.maximumCommands == configuration?.maximumCommands
        let slots = isSame ? self.slots ?? CommandSlots(new.maximumCommands) : CommandSlots(new.maximumCommands)
        var agents: [String: any Agent] = [:]
        for (name, settings) in new.agents {
            switch settings {
            case .echo: agents[name] = EchoAgent()
            case .command(let command):
                agents[name] = CommandAgent(
                    name: name, configuration: command, slots: slots, directories: directories,
                    tools: tools, reserve: reserve, logger: logger)
            case .acp(let settings):
                // One that stays as it is keeps its process and its conversations.
                let kept = self.companions[name].flatMap { $0.settings == settings ? $0 : nil }
                let agent =
                    kept ?? ACPAgent(name: name, settings: settings, tools: tools, reserve: reserve, logger: logger)
                companions[name] = agent
                agents[name] = agent
            }
        }
        return Routes(
            table: RoutingTable(agents: agents, bindings: new.bindings), slots: slots, companions: companions)
    }

    /// What a configuration says about agents.
    struct Routes {
        var table: RoutingTable
        var slots: CommandSlots?
        /// Agents whose processes stay; those of the present configuration that did not change are the same.
        var companions: [String: ACPAgent]
    }

    /// Brings new agents up, and lets those go that are no more, when their turns are over.
    func keep(_ wanted: [String: ACPAgent], atOnce: Bool = false) async {
        let before = companions
        companions = wanted
        for (name, agent) in wanted where before[name] !== agent { await agent.begin() }
        await withTaskGroup(of: Void.self) { group in
            for (name, agent) in before where wanted[name] !== agent {
                group.addTask { if atOnce { await agent.end() } else { await agent.retire() } }
            }
        }
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
