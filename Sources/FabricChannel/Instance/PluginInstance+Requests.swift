import ChannelStore
import Foundation
import JSONBytes
import Sessions

/// The requests of the C header.
extension PluginInstance {
    public typealias Completion = @Sendable (RequestResult) -> Void

    /// Validates a configuration and adopts it, whole or not at all.
    public func configure(_ json: [UInt8], completion: @escaping Completion) {
        do throws(InstanceSetup.Findings) {
            let next = try InstanceSetup(request: json, replacing: setup)
            let changes = next.changes(from: setup)
            if !next.isTrial {
                let isFirst = setup == nil
                setup = next
                openStore(next)
                adoptSharing(next)
                next.rememberIdentities()
                if isFirst, let fault = next.identityFault {
                    logger.error(
                        "its accounts do not run until a reload finds the identity file again: \(fault)",
                        metadata: ["file": "\(fault.file)"])
                }
                resources.adopt(next)
                for user in next.agentUsers { agents.insert(user) }
                for id in changes.adopted { adopt(next, by: id) }
                for account in accounts.values { account.assumeIsolated { $0.trace(next.traces) } }
                if isFirst, next.knowsAllAccounts, sharing == nil { forgetUnbound() }
            }
            completion(RequestResult(.ok, next.report(changes).serialized))
        } catch {
            completion(error.result)
        }
    }

    /// Starts an account.
    public func startAccount(_ json: [UInt8], completion: @escaping Completion) {
        do throws(RequestProblem) {
            let (id, request) = try accountID(in: json)
            let handover = try Handover.read(request["handover"], account: id)
            if accounts[id] != nil { return completion(RequestResult(.ok, Array("{}".utf8))) }
            if let stop = stopping[id] {
                Task {
                    _ = await stop.value
                    self.startAccount(json, completion: completion)
                }
                return
            }
            if sharing != nil { return try startShared(id, handover, completion) }
            let account = try makeAccount(id)
            accounts[id] = account
            if let wish = historyWishes[id] { account.assumeIsolated { $0.wish(wish) } }
            Task {
                do {
                    try await account.start(handover: handover, traces: setup?.traces ?? false)
                    completion(RequestResult(.ok, Array("{}".utf8)))
                } catch {
                    if self.accounts[id] === account { self.accounts[id] = nil }
                    let known = error as? StoreError
                    let why = known.map { "\($0.path): \($0.problem)" } ?? "\(error)"
                    completion(
                        RequestProblem(
                            .unavailable, "what is kept of the account cannot be read: \(why)",
                            at: "account \(id)", remedy: known?.remedy ?? "check the state directory", retryable: true
                        ).result)
                }
            }
        } catch {
            completion(error.result)
        }
    }

    /// A running account takes up what changed.
    private func adopt(_ setup: InstanceSetup, by id: String) {
        guard let account = accounts[id], let plan = try? setup.plan(for: id) else { return }
        account.assumeIsolated { $0.adopt(plan.settings, facts: plan.facts) }
    }

    func makeAccount(_ id: String) throws(RequestProblem) -> Account {
        guard let setup, let store else {
            throw RequestProblem(
                .invalid, "the plugin is not configured yet", at: "account \(id)", remedy: "configure it first")
        }
        let plan = try setup.plan(for: id)
        return Account(
            id: id, settings: plan.settings, facts: plan.facts,
            environment: try resources.environment(
                for: setup, account: id, store: store, agents: agents,
                commands: commands, lease: leaseGuard))
    }

    private var leaseGuard: LeaseGuard? {
        guard let sharing else { return nil }
        return LeaseGuard(clock: sharing.clock, lostTurns: sharing.lostTurns) { [weak self] account in
            self?.assumeIsolated { instance in
                let isRunning = instance.accounts[account.id] === account || instance.draining[account.id] === account
                if isRunning { instance.lease(.refused(account.id)) }
            }
        }
    }

    /// Stops an account.
    public func stopAccount(_ json: [UInt8], completion: @escaping Completion) {
        do throws(RequestProblem) {
            let (id, request) = try accountID(in: json)
            let drain = min(max(request["drainSeconds"]?.double ?? 0, 0), 4)
            let wantsHandover = request["handover"]?.bool ?? false
            lease(.unwanted(id, isHandover: wantsHandover))
            guard let account = accounts.removeValue(forKey: id) else {
                sharing?.told[id] = nil
                for waiting in sharing?.starting.removeValue(forKey: id) ?? [] { waiting(notHere(id).result) }
                hurry(id, .seconds(drain))
                guard let stop = stopping[id] else { return completion(noRun(id, wantsHandover)) }
                let account = draining[id]
                Task {
                    _ = await stop.value
                    // Whoever began the stop waits for it too, and may hear of its end after us.
                    if let account { lostTurns(of: account) }
                    completion(noRun(id, wantsHandover))
                }
                return
            }
            draining[id] = account
            let stop = Task { await account.stop(drain: .seconds(drain), isHandover: wantsHandover) }
            stopping[id] = stop
            Task {
                var handover = await stop.value
                if sharing?.ended.contains(id) == false { lease(.stopped(id)) }
                if wantsHandover, isWritten(account) { handover.lease = sharing?.keeper.lease(of: id) }
                if wantsHandover { handover.lostTurns = turnsToHandOver(account) }
                if wantsHandover {
                    self.resources.handOver(media: handover.mediaDirectories)
                } else {
                    self.resources.keep(handover.session, of: id)
                }
                self.stopping[id] = nil
                self.draining[id] = nil
                if !wantsHandover, sharing == nil { await self.forgetIfUnbound(id) }
                let result: JSONValue = wantsHandover ? ["handover": handover.json] : [:]
                completion(RequestResult(.ok, result.serialized))
            }
        } catch {
            completion(error.result)
        }
    }

    /// The answer to a stop of an account that did not run, or was being given back. What was lost with it before is handed
    /// over all the same.
    private func noRun(_ id: String, _ wantsHandover: Bool) -> RequestResult {
        let turns = wantsHandover ? sharing?.lostTurns.turns(of: id) ?? [] : []
        guard !turns.isEmpty else { return RequestResult(.ok, Array("{}".utf8)) }
        var handover = Handover(session: nil)
        handover.lostTurns = turns
        return RequestResult(.ok, JSONValue.object(["handover": handover.json]).serialized)
    }

    /// Whether the store has everything of an account that has stopped. If not, another instance must not go on where it ended.
    private func isWritten(_ account: Account) -> Bool { account.assumeIsolated { $0.ending.isStored } }

    /// Sends a message.
    public func send(_ json: [UInt8], completion: @escaping Completion) {
        do throws(RequestProblem) {
            let request = try SendRequest(json)
            guard let account = accounts[request.account] ?? draining[request.account] else {
                throw notHere(request.account)
            }
            account.assumeIsolated { $0.send(request, completion: completion) }
        } catch {
            completion(error.result)
        }
    }

    /// The status of one account or of all.
    public func status(_ json: [UInt8], completion: @escaping Completion) {
        let only: String?
        do throws(RequestProblem) {
            only = try (try? JSONValue(parsing: json))?.requestedAccount()
        } catch {
            return completion(error.result)
        }
        var rows: [JSONValue] = []
        var shown: Set<String> = []
        for (id, account) in accounts.sorted(by: { $0.key < $1.key }) where only == nil || only == id {
            rows.append(account.assumeIsolated { $0.status })
            shown.insert(id)
        }
        for id in standbyAccounts where only == nil || only == id {
            guard let row = setup?.standbyStatus(id, reason: standbyReason(id)) else { continue }
            rows.append(row)
            shown.insert(id)
        }
        for row in setup?.idleStatus ?? [] {
            guard let id = row["accountId"]?.string, !shown.contains(id), only == nil || only == id else { continue }
            rows.append(row)
        }
        let statistics = resources.statistics
        let result: JSONValue = [
            "version": .string(version), "accounts": .array(rows),
            "logins": .int(Int64(statistics.logins)), "sessions": .int(Int64(statistics.sessions)),
        ]
        completion(RequestResult(.ok, result.serialized))
    }

    /// Everything else.
    public func command(_ json: [UInt8], completion: @escaping Completion) {
        let value = (try? JSONValue(parsing: json)) ?? .null
        do throws(RequestProblem) {
            switch value["command"]?.string {
            case "channels.list":
                let (id, _) = try accountID(in: json)
                guard let account = accounts[id] ?? draining[id] else { throw notHere(id) }
                let rows = account.assumeIsolated { $0.channelRows }
                completion(RequestResult(.ok, JSONValue.object(["channels": .array(rows)]).serialized))
            case "deadLetters.list":
                listDeadLetters(of: try value.requestedAccount(), completion)
            case "deadLetters.resubmit": try resubmitDeadLetter(value, completion)
            case "deadLetters.drop": try dropDeadLetters(value, completion)
            case "account.unblock" where value["all"]?.bool == true:
                let ids = resources.unblockAll()
                let result: JSONValue = ["accounts": .array(ids.map { .string($0) })]
                completion(RequestResult(.ok, result.serialized))
            case "account.unblock":
                let (id, _) = try accountID(in: json)
                resources.unblock(id)
                completion(RequestResult(.ok, Array("{}".utf8)))
            case "tools.list": completion(listTools())
            case "tools.call": callTool(try ToolRequest(value), completion)
            case "tools.cancel": completion(try cancelTool(value))
            case "presence.set": completion(try setPresence(value))
            case "commands.sync": completion(try syncCommands(value))
            case "history.set": completion(try setHistory(value))
            case "sharing.status": completion(sharingStatus())
            case "sharing.drain": try drain(value, completion)
            case "sharing.undrain": completion(try undrain())
            default:
                throw RequestProblem(
                    .invalid, "unknown command \"\(value["command"]?.string ?? "")\"", at: "command",
                    remedy:
                        "known: channels.list, deadLetters.list, deadLetters.resubmit, deadLetters.drop, account.unblock, "
                        + "tools.list, tools.call, tools.cancel, presence.set, commands.sync, history.set, "
                        + "sharing.status, sharing.drain, sharing.undrain")
            }
        } catch {
            completion(error.result)
        }
    }
}
