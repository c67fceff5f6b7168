import ChannelStore
import JSONBytes
import Logging
import Timing

/// Carries out what the keeper of leases decides: which accounts run here.
extension PluginInstance {
    /// Begins to be a member, as soon as there is a store that is shared.
    func share(_ choice: SharedStoreChoice, setup: InstanceSetup) {
        sharing = SharingState(choice, setup: setup, version: version)
        logger.notice(
            "accounts are shared with other gateways", metadata: ["gateway": "\(choice.gateway)"])
        lease(.tick)
    }

    /// Lets the keeper decide about an event, and carries out what it says.
    func lease(_ event: LeaseKeeper.Event) {
        guard var state = sharing, !state.isOver else { return }
        // Taken out and put back, so that nothing is copied.
        sharing = nil
        state.keeper.handle(event, now: .now, &state.actions)
        state.clock.set(state.keeper.deadline)
        sharing = state
        perform()
    }

    private func perform() {
        guard sharing?.isPerforming == false else { return }
        sharing?.isPerforming = true
        var at = 0
        while let actions = sharing?.actions, at < actions.count {
            perform(actions[at])
            at += 1
        }
        sharing?.actions = []
        sharing?.isPerforming = false
        armLeaseTimer()
    }

    private func armLeaseTimer() {
        guard let due = sharing?.keeper.due, due != sharing?.due, sharing?.isOver == false else { return }
        sharing?.timer?.cancel()
        sharing?.due = due
        sharing?.timer = schedule(after: max(.zero, ContinuousClock.now.duration(to: due))) { instance in
            instance.sharing?.due = nil
            instance.lease(.tick)
        }
    }

    /// The instance ends: nothing is decided any more.
    func endSharing() {
        sharing?.isOver = true
        sharing?.timer?.cancel()
        sharing?.clock.set(nil)
    }

    private func perform(_ action: LeaseKeeper.Action) {
        switch action {
        case .beat(let member, let number): beat(member, number)
        case .claim(let names, let atMost, let number): claim(names, atMost, number)
        case .takeOver(let old):
            ask(or: .takeOverFailed(old)) { store in .tookOver(old, try await store.takeOver(old)) }
        case .askRunners(let names):
            let id = sharing?.keeper.member.id ?? ""
            ask(or: .runnersFailed) { store in
                .runners(names, try await store.runners(of: names), member: id)
            }
        case .release(let leases):
            // What is not confirmed is repeated after the next report.
            ask(or: .tick) { store in
                try await store.release(leases)
                return .released(leases)
            }
        case .start(let account): startLeased(account)
        case .stop(let account, let drain, let reason): giveBack(account, drain, reason)
        case .end(let names, let reason): for name in names { end(name, reason) }
        case .standby(let names): for name in names { tellStandby(name) }
        case .drained: answerDrains()
        case .notice(let text): logger.warning("\(text)")
        }
    }

    // MARK: The store

    /// Asks the store for something; what comes of it is an event.
    private func ask(
        or failed: LeaseKeeper.Event,
        _ body: @escaping @Sendable (any SharedStore) async throws -> LeaseKeeper.Event
    ) {
        guard let store = sharing?.store, let member = sharing?.keeper.member.id else { return }
        Task {
            do {
                lease(try await body(store))
            } catch is MemberGone {
                lease(failed)
                lease(.gone(member: member))
            } catch {
                logger.debug("the shared store did not answer", metadata: ["reason": "\(error)"])
                lease(failed)
            }
        }
    }

    private func beat(_ member: Member, _ number: UInt64) {
        guard let store = sharing?.store else { return }
        let before = SystemClock.wall
        var member = member
        member.settingsDigest = setup?.settingsDigest ?? member.settingsDigest
        let said = member
        Task {
            do {
                let report = try await store.beat(said)
                let after = SystemClock.wall
                sharing?.clockDifference = report.time - (before + after) / 2
                answered(nil)
                learnAgents()
                lease(.answered(beat: number, report, busy: busyAccounts))
            } catch is MemberGone {
                answered(nil)
                lease(.gone(member: said.id))
            } catch {
                answered(error)
                lease(.beatFailed(number))
            }
        }
    }

    private func answered(_ error: (any Error)?) {
        let isGood = error == nil
        let isRefused = (error as? StoreError)?.isRefusal ?? false
        let isNew = sharing?.answers?.isGood != isGood || sharing?.isRefused != isRefused
        sharing?.problem = error.map { "\($0)" } ?? ""
        sharing?.isRefused = isRefused
        guard isNew else { return }
        if let error {
            logger.error(
                isRefused ? "the database refuses this gateway" : "the database does not answer",
                metadata: ["reason": "\(error)"])
        } else if sharing?.answers != nil {
            logger.notice("the database answers again")
        }
        guard sharing?.answers?.isGood != isGood else { return }
        sharing?.answers = (isGood, SystemClock.wall)
    }

    /// How many beats lie between two looks at which users are agents.
    private static let beatsPerLook = 15

    /// The agents that other gateways run are agents here too: `agentTalk` holds them back.
    private func learnAgents() {
        guard let store = sharing?.store, let left = sharing?.untilAgents else { return }
        sharing?.untilAgents = left > 0 ? left - 1 : Self.beatsPerLook
        guard left <= 0 else { return }
        Task {
            do {
                for user in try await store.notes(Account.userNote).values {
                    agents.insert(String(decoding: user, as: UTF8.self))
                }
            } catch {
                logger.debug("which users are agents is not known", metadata: ["reason": "\(error)"])
            }
        }
    }

    private func claim(_ names: [String], _ atMost: Int, _ number: UInt64) {
        ask(or: .claimFailed(number)) { store in
            .claimed(number, try await store.claim(names, atMost: atMost))
        }
    }

    /// Those that something is under way of.
    private var busyAccounts: Set<String> {
        Set(accounts.filter { $0.value.assumeIsolated { !$0.isDrained } }.keys)
    }

    // MARK: Runs

    private func startLeased(_ id: String) {
        let handover = sharing?.handovers.removeValue(forKey: id)
        let account: Account
        do throws(RequestProblem) {
            account = try makeAccount(id)
        } catch {
            logger.error(
                "an account could not be started", metadata: ["account": "\(id)", "reason": "\(error.problem)"])
            lease(.startFailed(id))
            return
        }
        accounts[id] = account
        sharing?.told[id] = nil
        logger.info("the account runs here now", metadata: ["account": "\(id)"])
        if let wish = historyWishes[id] { account.assumeIsolated { $0.wish(wish) } }
        Task {
            do {
                try await account.start(handover: handover, traces: setup?.traces ?? false)
                sharing?.lostTurns.remove(openTurns(of: account), of: id)
                answerStart(id)
            } catch {
                logger.error(
                    "what is kept of the account cannot be read",
                    metadata: ["account": "\(id)", "reason": "\(error)"])
                guard accounts[id] === account else { return }
                accounts[id] = nil
                lease(.startFailed(id))
            }
        }
    }

    private func answerStart(_ id: String) {
        for completion in sharing?.starting.removeValue(forKey: id) ?? [] {
            completion(RequestResult(.ok, Array("{}".utf8)))
        }
    }

    /// The account comes to its end here, because another gateway is to have it.
    private func giveBack(_ id: String, _ drain: Duration, _ reason: LeaseKeeper.StopReason) {
        guard let account = accounts.removeValue(forKey: id) else { return lease(.stopped(id)) }
        logger.info("the account is given back", metadata: ["account": "\(id)", "why": "\(reason)"])
        draining[id] = account
        let stop = Task { await account.stop(drain: drain, isMoving: true) }
        stopping[id] = stop
        tellStandby(id)
        Task {
            _ = await stop.value
            stopping[id] = nil
            draining[id] = nil
            lostTurns(of: account)
            if sharing?.ended.contains(id) == false { lease(.stopped(id)) }
        }
    }

    func lostTurns(of account: Account) {
        sharing?.lostTurns.insert(openTurns(of: account), of: account.id)
    }

    func openTurns(of account: Account) -> [String] { account.assumeIsolated { $0.inbox.openTurns } }

    /// What another instance of this gateway must know of turns that agents may still be at: it, or another gateway, may be
    /// the next to run the account.
    func turnsToHandOver(_ account: Account) -> [String] {
        lostTurns(of: account)
        return sharing?.lostTurns.turns(of: account.id) ?? []
    }

    /// The lease is lost: nothing waits for anything.
    private func end(_ id: String, _ reason: String) {
        guard let account = accounts.removeValue(forKey: id) ?? draining[id] else { return lease(.stopped(id)) }
        let isStopping = stopping[id] != nil
        account.assumeIsolated { $0.abandon() }
        lostTurns(of: account)
        sharing?.ended.insert(id)
        draining[id] = account
        logger.warning("the account is ended at once", metadata: ["account": "\(id)", "reason": "\(reason)"])
        tellStandby(id)
        Task {
            let session = await account.abandoned()
            if let stop = stopping[id] { _ = await stop.value }
            resources.keep(session, of: id)
            if !isStopping { draining[id] = nil }
            sharing?.ended.remove(id)
            lease(.stopped(id))
        }
    }

    // MARK: Standby

    /// Tells the gateway how an account stands that does not run here.
    private func tellStandby(_ id: String) {
        guard let keeper = sharing?.keeper, let record = keeper.records[id], record.isWanted, accounts[id] == nil else {
            return
        }
        if record.phase == .standby {
            if let handover = sharing?.handovers.removeValue(forKey: id) { resources.keep(handover.session, of: id) }
            answerStart(id)
        }
        let reason = standbyReason(id)
        guard sharing?.told[id] != reason, let row = setup?.standbyStatus(id, reason: reason) else { return }
        sharing?.told[id] = reason
        gateway.accountChanged(row.serialized)
    }

    func standbyReason(_ id: String) -> String {
        if draining[id] != nil, sharing?.ended.contains(id) == false { return "it moves to another gateway" }
        let reason = sharing?.keeper.reason(of: id)
        guard reason == .noLease, let sharing, !sharing.problem.isEmpty else { return reason?.text ?? "" }
        return "\(sharing.trouble), so that no gateway knows whether it may run: \(sharing.problem)"
    }

    /// The account is to run here when its turn comes; nil where the store is not shared.
    func isOnStandby(_ id: String) -> Bool {
        accounts[id] == nil && sharing?.keeper.records[id]?.isWanted == true
    }

    var standbyAccounts: [String] {
        sharing?.keeper.records.filter { $0.value.isWanted && accounts[$0.key] == nil }.keys.sorted() ?? []
    }

    /// Why something cannot be asked of an account here.
    func notHere(_ id: String) -> RequestProblem {
        guard isOnStandby(id) else {
            return RequestProblem(
                .unavailable, "the account is not running, or there is none of this name", at: "account \(id)",
                remedy: "see the accounts and their reasons in `gateway status`", retryable: true)
        }
        let remedy =
            if case .runs(let gateway)? = sharing?.keeper.reason(of: id) { "ask gateway \(gateway)" } else {
                "ask again in a moment"
            }
        return RequestProblem(
            .unavailable, "the account is on standby here: \(standbyReason(id))", at: "account \(id)", remedy: remedy,
            retryable: true)
    }

    // MARK: Requests

    /// Starts an account that gateways share: it is on standby until its lease comes.
    func startShared(_ id: String, _ handover: Handover?, _ completion: @escaping Completion) throws(RequestProblem) {
        guard let setup else { return completion(RequestResult(.ok, Array("{}".utf8))) }
        _ = try setup.plan(for: id)
        sharing?.told[id] = nil
        sharing?.lostTurns.insert(handover?.lostTurns ?? [], of: id)
        guard let handover, let old = handover.lease else {
            if let session = handover?.session { resources.keep(session, of: id) }
            lease(.wanted(id))
            return completion(RequestResult(.ok, Array("{}".utf8)))
        }
        sharing?.handovers[id] = handover
        sharing?.starting[id, default: []].append(completion)
        lease(.handedIn(old))
        if accounts[id] == nil, sharing?.keeper.records[id]?.phase == .standby { return answerStart(id) }
        // Whoever waits goes on, and the account comes when it comes. By then the gateway may have been told that it does not
        // run, so its turns are delivered again instead of waited for.
        _ = schedule(after: .seconds(3)) { instance in
            // One that is being read is as good as started.
            guard instance.accounts[id] == nil else { return }
            if let handover = instance.sharing?.handovers.removeValue(forKey: id) {
                instance.resources.keep(handover.session, of: id)
            }
            instance.answerStart(id)
        }
    }

    /// The host stops or moves an account that is being given back already: it gets no more time than the host grants.
    func hurry(_ id: String, _ drain: Duration) {
        if draining[id] != nil { _ = schedule(after: drain) { $0.hurry(id) } }
    }

    func hurry(_ id: String) { draining[id]?.assumeIsolated { $0.ending.letDrainWaitersGo() } }
}
