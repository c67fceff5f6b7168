import GatewayControl
import JSONBytes

extension PluginRuntime {
    /// Follows the turns, and tells the module of each account how its agent is.
    func watchPresence() {
        guard presenceWatch == nil else { return }
        let activity = router.activity
        presenceWatch = Task { [weak self] in
            for await _ in activity { await self?.lookAtPresence() }
        }
    }

    /// Why presence is looked at.
    enum PresenceReason {
        case turns
        /// Other agents may answer now.
        case agentsChanged
        /// The module knows nothing of what was said before.
        case anew
    }

    func lookAtPresence(_ reason: PresenceReason = .turns) {
        guard !stopping else { return }
        if reason == .anew { presence.forget() }
        // Each account that is started anywhere asks by itself.
        if reason == .agentsChanged { askForHistory(supervisor.runningAccounts) }
        guard capabilities.contains("presence") else { return }
        let table = router.table
        var states: [String: PresenceBoard.State] = [:]
        for account in Set(router.running.keys).union(presence.notIdle) where router.turns(of: account) != nil {
            let agent = table.agent(channel: setup.channel, account: account)?.agent
            states[account] = agent?.isBusy(for: account) == true ? .busy : .working
        }
        switch reason {
        case .turns: break
        case .agentsChanged, .anew:
            unanswered = Set(
                supervisor.runningAccounts.filter { table.agent(channel: setup.channel, account: $0) == nil })
        }
        for account in unanswered { states[account] = .offline }
        let (changes, next) = presence.update(states, at: .now)
        for (account, state) in changes.sorted(by: { $0.key < $1.key }) {
            // Nobody waits for it: the chat may be slow, turns are not to be.
            Task { await tell(account, state) }
        }
        // Whether a turn waits is seen only by looking again.
        let hasTurns = states.values.contains { $0 != .offline }
        let again = !hasTurns ? next : min(next ?? .now.advanced(by: .seconds(1)), .now.advanced(by: .seconds(1)))
        presenceTimer?.cancel()
        presenceTimer = again.map { at in
            Task { [weak self] in
                try? await Task.sleep(until: at, clock: .continuous)
                if !Task.isCancelled { await self?.lookAtPresence() }
            }
        }
    }

    private func tell(_ account: String, _ state: PresenceBoard.State) async {
        do throws(ModuleRefusal) {
            _ = try await command("presence.set", ["account": .string(account), "state": .string(state.rawValue)])
        } catch {
            logger.debug("presence was not told: \(error)", metadata: ["account": "\(account)"])
        }
    }

    /// Asks the module for what was said last, where a binding wants it with each turn; `none` where it did and does not
    /// any more.
    func askForHistory(_ accounts: [String]) {
        guard capabilities.contains("history") else { return }
        let table = router.table
        for account in accounts {
            let wanted = table.history(channel: setup.channel, account: account)
            guard wanted != histories[account] else { continue }
            histories[account] = wanted
            let arguments: [String: JSONValue] = [
                "account": .string(account), "messages": .int(Int64(wanted?.messages ?? 0)),
                "maximumBytes": .int(Int64(wanted?.maximumBytes ?? 0)),
            ]
            let logger = logger
            Task {
                do throws(ModuleRefusal) {
                    _ = try await command("history.set", arguments)
                } catch {
                    logger.warning("no history comes with turns: \(error)", metadata: ["account": "\(account)"])
                }
            }
        }
    }

    /// The slash commands people are offered, from now on.
    func offer(_ commands: [SlashCommand]) {
        offered = commands
        syncCommands()
    }

    /// Gives the module the catalogue; it brings it to each guild.
    func syncCommands() {
        guard capabilities.contains("commands"), let module else { return }
        let catalogue = (SlashCommand.builtin + offered).map(\.json)
        let logger = logger
        Task {
            do throws(ModuleRefusal) {
                _ = try await module.command("commands.sync", ["commands": .array(catalogue)])
            } catch {
                logger.debug("the slash commands were not synced: \(error)")
            }
        }
    }
}
