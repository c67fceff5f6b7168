import ChannelStore
import JSONBytes

/// What can never be sent, or was never answered: of the accounts that run here, and of those that do not run at all.
extension PluginInstance {
    /// One dead letter, as `deadLetters.list` shows it.
    private struct Letter {
        var id: String
        var account: String
        var key: ChannelKey
        /// Whether it is an answer or another message of ours; else a delivery that no turn survived.
        var isMessage: Bool
        var text = ""
        var files = 0
        var reason: String

        init(_ entry: OutboxEntry, of account: String) {
            (id, self.account, key, isMessage) = (entry.id, account, entry.key, true)
            (text, files, reason) = (entry.text, entry.media.count, entry.deadReason ?? "")
        }

        init(_ delivery: StoredDelivery, of account: String) {
            (id, self.account, key, isMessage) = (delivery.id, account, delivery.key, false)
            reason = delivery.deadReason ?? ""
        }

        /// Text that was never sent is shown by its beginning; a message that others wrote is not shown.
        var json: JSONValue {
            [
                "id": .string(id), "accountId": .string(account), "kind": isMessage ? "message" : "delivery",
                "to": .string("fabric:\(key.guild)/\(key.channel)"), "text": .string(String(text.prefix(200))),
                "files": .int(Int64(files)), "reason": .string(reason),
            ]
        }
    }

    /// Lists them: `{"deadLetters": […]}`.
    func listDeadLetters(of only: String?, _ completion: @escaping Completion) {
        if let only, isOnStandby(only) { return completion(notHere(only).result) }
        Task {
            do {
                let rows = try await deadLetters(of: only).map(\.json)
                completion(RequestResult(.ok, JSONValue.object(["deadLetters": .array(rows)]).serialized))
            } catch {
                completion(Self.unreadable(error).result)
            }
        }
    }

    private func deadLetters(of only: String?) async throws -> [Letter] {
        var letters: [Letter] = []
        for (id, account) in accounts.sorted(by: { $0.key < $1.key }) where only == nil || only == id {
            letters += runningLetters(id, account)
        }
        for id in try await idleAccounts() where only == nil || only == id { letters += try await keptLetters(of: id) }
        return letters
    }

    private func runningLetters(_ id: String, _ account: Account) -> [Letter] {
        let (deliveries, messages) = account.assumeIsolated { ($0.inbox.setAside, $0.outgoing.deadLetters) }
        return deliveries.map { Letter($0, of: id) } + messages.map { Letter($0, of: id) }
    }

    private func keptLetters(of id: String) async throws -> [Letter] {
        guard let stored = try await store?.load(id) else { return [] }
        return stored.deliveries.filter { $0.deadReason != nil }.map { Letter($0, of: id) }
            + stored.outbox.filter { $0.deadReason != nil }.map { Letter($0, of: id) }
    }

    /// The accounts that something is kept of and that nobody runs: disabled ones, and those that were unbound.
    private func idleAccounts() async throws -> [String] {
        guard let store else { return [] }
        var known = try await store.accounts()
        if let shared = sharing?.store {
            // What others run is theirs to show.
            let runners = try await shared.runners(of: known)
            known.removeAll { runners[$0] != nil }
        }
        // One that may start runs here, or in another instance, or will in a moment.
        return known.filter {
            accounts[$0] == nil && stopping[$0] == nil && draining[$0] == nil
                && setup?.accounts[$0]?.mayStart != true
        }
    }

    /// Sends one again, or delivers it again.
    func resubmitDeadLetter(_ value: JSONValue, _ completion: @escaping Completion) throws(RequestProblem) {
        let id = try Self.letterID(value)
        for account in accounts.values where account.assumeIsolated({ $0.resubmit(id) }) {
            return completion(RequestResult(.ok, Array("{}".utf8)))
        }
        if let account = standbyOwner(of: id) { return completion(notHere(account).result) }
        Task {
            let letters = (try? await deadLetters(of: nil)) ?? []
            guard let letter = letters.first(where: { $0.id == id }) else {
                return completion(Self.noLetter(id).result)
            }
            completion(
                RequestProblem(
                    .unavailable, "its account does not run", at: "account \(letter.account)",
                    remedy: "bind or enable it, or drop the dead letter: `gateway deadletters drop \(id)`"
                ).result)
        }
    }

    /// Forgets one, or with `all` every one (of one account, if it is named): `{"dropped": number}`.
    func dropDeadLetters(_ value: JSONValue, _ completion: @escaping Completion) throws(RequestProblem) {
        let isAll = value["all"]?.bool == true
        let id = isAll ? nil : try Self.letterID(value)
        let only = try value.requestedAccount()
        if let account = only ?? id.flatMap(standbyOwner), isOnStandby(account) {
            return completion(notHere(account).result)
        }
        Task {
            do {
                let wanted = try await deadLetters(of: only).filter { id == nil || $0.id == id }
                if let id, wanted.isEmpty { return completion(Self.noLetter(id).result) }
                for letter in wanted { await drop(letter) }
                for account in Set(wanted.map(\.account)) { await forgetIfUnbound(account) }
                completion(
                    RequestResult(.ok, JSONValue.object(["dropped": .int(Int64(wanted.count))]).serialized))
            } catch {
                completion(Self.unreadable(error).result)
            }
        }
    }

    /// The account on standby that a dead letter is of: its id begins with the account's.
    private func standbyOwner(of letter: String) -> String? {
        standbyAccounts.filter { letter.hasPrefix($0 + "/") }.max { $0.count < $1.count }
    }

    private func dropRunning(_ letter: Letter) -> Bool {
        guard let account = accounts[letter.account] else { return false }
        _ = account.assumeIsolated { $0.dropDeadLetter(letter.id) }
        return true
    }

    private func drop(_ letter: Letter) async {
        if dropRunning(letter) { return }
        guard let store else { return }
        let change: StoreChange =
            letter.isMessage ? .outboxRemoved(id: letter.id) : .settled(delivery: letter.id)
        // Where gateways share the store, only who has the account may change it, if only for this moment.
        let borrowed = try? await sharing?.store.claim([letter.account], atMost: 1)
        await withCheckedContinuation { done in
            store.commit([change], account: letter.account) { _ in done.resume() }
        }
        if let borrowed, !borrowed.isEmpty { try? await sharing?.store.release(borrowed) }
        if letter.isMessage, let root = setup?.outboxDirectory {
            OutboxFiles.drop(root: root, account: letter.account, entry: letter.id)
        }
    }

    private static func letterID(_ value: JSONValue) throws(RequestProblem) -> String {
        guard let id = value["id"]?.string else {
            throw RequestProblem(.invalid, "\"id\" is missing", at: "command", remedy: "name the dead letter")
        }
        return id
    }

    private static func noLetter(_ id: String) -> RequestProblem {
        RequestProblem(
            .invalid, "there is no dead letter \(id)", at: "command", remedy: "list them: `gateway deadletters list`")
    }

    private static func unreadable(_ error: any Error) -> RequestProblem {
        let known = error as? StoreError
        return RequestProblem(
            .unavailable, "what is kept cannot be read: \(known?.problem ?? "\(error)")",
            at: known?.path ?? "channel.db", remedy: known?.remedy ?? "check the state directory", retryable: true)
    }

    // MARK: Accounts that are no more

    /// Forgets what is kept of accounts that were unbound while no gateway ran.
    func forgetUnbound() {
        guard let store else { return }
        Task {
            for id in (try? await store.accounts()) ?? [] { await forgetIfUnbound(id) }
        }
    }

    /// Forgets what is kept of an account that the configuration no longer has: its positions and what waited. What
    /// could not be sent or answered stays, for the operator to see, until it is dropped.
    ///
    /// Not where the store is shared: another gateway's configuration may have it.
    func forgetIfUnbound(_ id: String) async {
        guard sharing == nil, isUnbound(id), let store, let stored = try? await store.load(id), isUnbound(id) else {
            return
        }
        var letters = stored.outbox
        for index in letters.indices where letters[index].deadReason == nil {
            letters[index].deadReason = "the account was unbound before it was sent"
        }
        let deliveries = stored.deliveries.filter { $0.deadReason != nil }
        if !letters.isEmpty || !deliveries.isEmpty {
            let isOnlyThat = stored.cursors.isEmpty && stored.deliveries == deliveries && stored.outbox == letters
            if isOnlyThat { return }
        }
        do {
            try await store.remove(id)
        } catch {
            return logger.warning(
                "what is kept of an unbound account could not be removed yet: \(error)", metadata: ["account": "\(id)"])
        }
        let kept = deliveries.map { StoreChange.delivery($0) } + letters.map { StoreChange.outbox($0) }
        if !kept.isEmpty { store.commit(kept, account: id) { _ in } }
        if let root = setup?.outboxDirectory { OutboxFiles.sweep(root, account: id, keeping: letters) }
        logger.notice(
            "the account was unbound: what was kept of it is removed",
            metadata: ["account": "\(id)", "dead letters": "\(kept.count)"])
    }

    private func isUnbound(_ id: String) -> Bool {
        guard let setup, accounts[id] == nil, stopping[id] == nil, draining[id] == nil else { return false }
        return setup.accounts[id] == nil
    }
}
