import GatewayControl
import JSONBytes
import Logging

extension PluginRuntime {
    /// What the module said about a configuration: which accounts came, changed and went.
    struct Adopted: Sendable {
        var added: [String] = []
        var changed: [String] = []
        /// Those that took up their change without a restart.
        var adopted: [String] = []
        var removed: [String] = []
        /// Keys of settings that were taken up and concern no account.
        var settings: [String] = []
        var accounts: [JSONValue] = []
        /// What the module can do beyond what every module does.
        var capabilities: Set<String> = []
        /// Why nothing is configured; `nil` if something is.
        var unconfigured: String?
    }

    /// Opens the first instance and gives it its settings. Starts no account.
    func open(settings: JSONValue) async throws {
        let opened = try await load(manifest, settings: settings)
        slots.rebase(on: opened.module)
        self.settings = settings
        capabilities = opened.adopted.capabilities
        adoptedAtOpen = opened.adopted
        listen()
    }

    /// Starts what the configuration allows; called once after `open`.
    func startAccounts() {
        apply(Adopted(accounts: adoptedAtOpen.accounts, unconfigured: adoptedAtOpen.unconfigured))
        watchPresence()
        lookAtPresence(.anew)
    }

    /// Gives the running instance new settings, whole or not at all. Touches no account.
    func configure(_ settings: JSONValue) async throws(ModuleRefusal) -> Adopted {
        guard let module else { throw ModuleRefusal(.unavailable, "the module is not open", place: setup.channel) }
        let adopted = try await Self.adopted(module.configure(request(settings)))
        self.settings = settings
        capabilities = adopted.capabilities
        return adopted
    }

    /// Makes the accounts follow an adopted configuration.
    func apply(_ adopted: Adopted) {
        let described = Self.describe(adopted)
        slots.describe(described)
        router.keep(accounts: Set(described.keys))
        unconfigured = adopted.unconfigured
        for account in adopted.removed { handle(.removed(account: account)) }
        for account in supervisor.accounts where described[account] == nil { handle(.removed(account: account)) }
        let changed = Set(adopted.changed)
        for (account, entry) in described.sorted(by: { $0.key < $1.key }) {
            handle(
                .configured(account: account, Self.eligibility(entry), changed: changed.contains(account)))
        }
    }

    /// Opens a new instance beside the old, checks it, moves the accounts one by one, and closes the old.
    /// - Returns: the new version.
    /// - Throws: `ModuleError`; then the old instance goes on as if nothing had been.
    func reloadModule(_ manifest: PluginManifest) async throws -> String {
        guard let old = module else {
            throw ModuleRefusal(.unavailable, "the module is not open", place: setup.channel)
        }
        let opened = try await load(manifest, settings: settings)
        let new = opened.module
        guard !stopping else {
            await new.shutdown()
            throw ModuleRefusal(.shutDown, "the gateway is stopping")
        }
        self.manifest = manifest
        capabilities = opened.adopted.capabilities
        let accounts = supervisor.runningAccounts
        slots.rebase(on: new, keeping: accounts)
        await move(accounts)
        if !(await old.shutdown()) {
            logger.error(
                "the old instance of the module did not shut down in time", metadata: ["version": "\(old.version)"])
        }
        guard !Task.isCancelled else { throw ModuleRefusal(.cancelled, "the gateway is stopping") }
        // Only now is it certain that the old instance no longer runs them.
        for (account, run) in slots.takeStranded() {
            if supervisor.isCurrent(account, run: run) { await start(account, on: new, run: run) }
            slots.open(account, on: new)
        }
        // To the new instance everything was new; here nothing is.
        apply(Adopted(accounts: opened.adopted.accounts, unconfigured: opened.adopted.unconfigured))
        syncCommands()
        lookAtPresence(.anew)
        // New code may do what the old could not: who was given up gets another chance.
        for account in supervisor.abandonedAccounts { handle(.retry(account: account)) }
        logger.notice(
            "module reloaded",
            metadata: [
                "from": "\(old.version)", "to": "\(new.version)", "generation": "\(new.generation)",
                "accounts": "\(accounts.count)",
            ])
        return new.version
    }

    /// Moves accounts to the present instance, a few at a time.
    private func move(_ accounts: [String]) async {
        // Moving takes a few milliseconds each; the bound keeps a thousand hand-overs from being in memory at once.
        let width = 16
        var next = accounts[...]
        // A stop that comes meanwhile does not wait for the rest: closing the old instance ends them.
        while !next.isEmpty, !Task.isCancelled {
            let batch = next.prefix(width)
            next = next.dropFirst(width)
            for account in batch { handle(.moved(account: account)) }
            for account in batch { await slots.settled(account) }
        }
    }

    /// Moves one account to the present instance. The two never run it together. If the old one does not let go of it,
    /// its gate stays closed, and the run is started when that instance is gone.
    /// - Parameter run: the run it continues as; `nil` if it does not run.
    func move(_ account: String, run: UInt64?) async {
        await slots.close(account)
        guard let new = module, let old = slots.module(for: account), old !== new, let run else {
            return slots.open(account, on: module)
        }
        slots.reporting(account, nil)
        do throws(ModuleRefusal) {
            let handover = try await old.stop(account: account, handover: true)
            // Whatever was decided meanwhile stands behind this in the account's operations.
            if supervisor.isCurrent(account, run: run) {
                await start(account, on: new, run: run, handover: handover)
            }
            slots.open(account, on: new)
        } catch {
            logger.error(
                "the old instance did not hand over the account: \(error)", metadata: ["account": "\(account)"])
            slots.strand(account, run: run)
        }
    }

    private func load(
        _ manifest: PluginManifest, settings: JSONValue
    ) async throws -> (module: PluginModule, adopted: Adopted) {
        lastGeneration += 1
        let module = try await setup.loader.open(
            manifest.modulePath, id: manifest.id, generation: ModuleGeneration(lastGeneration), events: events)
        do {
            return (module, Self.adopted(try await module.configure(request(settings))))
        } catch {
            await module.shutdown()
            throw error
        }
    }

    private func request(_ settings: JSONValue) -> JSONValue {
        [
            "channel": .string(setup.channel), "file": .string(setup.configurationFile),
            "keyPath": .string("channels.\(setup.channel)"),
            "directory": .string(Files.parent(of: setup.configurationFile)),
            "stateDirectory": .string(setup.stateDirectory), "logLevel": .string(logger.logLevel.rawValue),
            "settings": settings, "capabilities": .array(Self.hostCapabilities),
        ]
    }

    /// What this host makes use of, so that a module need not keep up what nobody asks for.
    private static let hostCapabilities: [JSONValue] = ["tools", "presence", "commands", "history"]

    private static func adopted(_ answer: JSONValue) -> Adopted {
        Adopted(
            added: answer["added"]?.texts ?? [], changed: answer["changed"]?.texts ?? [],
            adopted: answer["adopted"]?.texts ?? [], removed: answer["removed"]?.texts ?? [],
            settings: answer["settings"]?.texts ?? [],
            accounts: answer["accounts"]?.array ?? [], capabilities: Set(answer["capabilities"]?.texts ?? []),
            unconfigured: answer["configured"]?.bool == true
                ? nil : answer["reason"]?.string ?? "the module did not say that it is configured")
    }

    private static func describe(_ adopted: Adopted) -> [String: JSONValue] {
        var described: [String: JSONValue] = [:]
        for entry in adopted.accounts {
            if let id = entry["accountId"]?.string, !id.isEmpty { described[id] = entry }
        }
        return described
    }

    /// An absent field is not good news: only `configured: true` and `enabled: true` may run.
    private static func eligibility(_ entry: JSONValue) -> Supervisor.Eligibility {
        if entry["enabled"]?.bool == false { return .disabled }
        guard entry["configured"]?.bool == true else {
            return .unconfigured(reason: entry["reason"]?.string ?? "the module did not say that it is configured")
        }
        guard entry["enabled"]?.bool == true else { return .disabled }
        return .eligible
    }
}
