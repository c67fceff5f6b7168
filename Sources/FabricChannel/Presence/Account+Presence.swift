import FabricAPI

/// Tells the guilds what the agent does.
extension Account {
    /// The gateway says it.
    func setPresence(_ state: PresencePlan.State) {
        presence.set(state)
        sayPresence()
    }

    func sayPresence() {
        guard settings.saysPresence, !ending.hasBegun, let put = presence.next(now: .now) else { return armTimer() }
        let task = run { account in
            do {
                guard let number = account.inbox.number(of: put.guild), let link = account.links[number] else {
                    throw CancellationError()
                }
                let user = account.inbox.user
                try await account.withGuildToken(put.guild) { token in
                    try await link.guild.setPresence(put.state.fabric, of: user, token: token)
                }
                account.presence.ended(put, isGood: true, now: .now)
            } catch {
                account.presence.ended(put, isGood: false, now: .now)
                account.logger.debug(
                    "presence not told", metadata: ["guild": "\(put.guild)", "reason": "\(operatorText(error))"])
            }
            account.sayPresence()
        }
        presence.began(by: task)
    }

    /// At the end of a run: the guilds hear that the agent is away, as far as a second allows, after one for what is being
    /// said: it must not come behind the farewell.
    func sayFarewell() async {
        guard settings.saysPresence else { return }
        presence.leave()
        if let number = presence.task, let task = tasks.running(number) {
            let alarm = loop.schedule(after: .seconds(1)) { task.cancel() }
            await task.value
            alarm.cancel()
        }
        let user = inbox.user
        let goodbyes = presence.farewells.compactMap { node -> (FabricGuild, String)? in
            guard let number = inbox.number(of: node), let link = links[number],
                let token = environment.sessions.cachedGuildToken(for: id, guild: node)
            else { return nil }
            return (link.guild, token.token)
        }
        guard !goodbyes.isEmpty else { return }
        let all = Task {
            await withTaskGroup(of: Void.self) { group in
                for (guild, token) in goodbyes {
                    group.addTask {
                        try? await guild.setPresence(
                            PresencePlan.State.offline.fabric, of: user, token: token, patience: .seconds(1))
                    }
                }
            }
        }
        let alarm = loop.schedule(after: .seconds(1)) { all.cancel() }
        await all.value
        alarm.cancel()
    }
}
