import ChannelStore
import FabricAPI
import Foundation
import JSONBytes
import Logging

/// Sending: what the gateway asks for becomes outbox entries, and the outbox's actions requests to the guild.
extension Account {
    /// Takes a message to send; `completion` hears how it ended.
    func send(_ request: SendRequest, completion: @escaping @Sendable (ChannelResult) -> Void) {
        guard !isStopping, life.running else {
            completion(
                ChannelProblem(
                    .unavailable, "the account is not running", at: "account \(id)", remedy: "start it",
                    retryable: true
                ).result)
            return
        }
        if let problem = mistake(in: request) { return completion(problem.result) }
        let number = nextRequest
        nextRequest += 1
        pendingRequests[number] = completion
        if let guild = guildOf(request.to) {
            accept(request, key: ChannelKey(guild: guild, channel: request.to.channel), number: number)
            return
        }
        run { account in await account.sendWhenKnown(request, number: number) }
    }

    /// What the caller can mend at once is told at once, and leaves no dead letter behind. Not for the answer of a turn,
    /// which nobody would send again.
    private func mistake(in request: SendRequest) -> ChannelProblem? {
        guard request.delivery == nil else { return nil }
        if let missing = request.media.first(where: { !FileManager.default.isReadableFile(atPath: $0.path) }) {
            return ChannelProblem(
                .invalid, "the file \(missing.path) does not exist or cannot be read",
                at: "account \(id), send request",
                remedy: "check the path and its permissions")
        }
        if let guild = request.to.guild, life.hasSession, links[guild] == nil, life.blocked == nil {
            return ChannelProblem(
                .invalid, "the account is not a member of a guild \(guild)", at: "account \(id), send request",
                remedy: "its guilds: \(links.keys.sorted().joined(separator: ", "))")
        }
        return nil
    }

    /// The guild a target names, or the only one, or the one that lists the channel.
    private func guildOf(_ target: OutboundTarget) -> String? {
        if let guild = target.guild { return guild }
        return links.first { $0.value.feed.slot(of: target.channel) != nil }?.key
    }

    /// A bare channel id, and no list has shown it: the guilds are asked.
    private func sendWhenKnown(_ request: SendRequest, number: UInt64) async {
        do {
            let session = try await environment.sessions.session(for: id)
            if session.fabric.guilds.count == 1 {
                return accept(
                    request, key: ChannelKey(guild: session.fabric.guilds[0].nodeId, channel: request.to.channel),
                    number: number)
            }
            for info in session.fabric.guilds {
                let guild = try makeGuild(info)
                let channels = try await withGuildToken(info.nodeId) { try await guild.channels(token: $0) }
                if channels.contains(where: { $0.id == request.to.channel }) {
                    return accept(
                        request, key: ChannelKey(guild: info.nodeId, channel: request.to.channel), number: number)
                }
            }
            answer(
                number,
                ChannelProblem(
                    .invalid, "no guild of the account has the channel \(request.to.channel)", at: "account \(id)",
                    remedy: "name the guild: fabric:<guild>/<channel>"
                ).result)
        } catch {
            answer(
                number,
                ChannelProblem(
                    .unavailable, "the channel's guild could not be found: \(operatorText(error))",
                    at: "account \(id)", remedy: "name the guild: fabric:<guild>/<channel>", retryable: true
                ).result)
        }
    }

    private func answer(_ number: UInt64, _ result: ChannelResult) {
        pendingRequests.removeValue(forKey: number)?(result)
    }

    private func accept(_ request: SendRequest, key: ChannelKey, number: UInt64) {
        let entry: String
        if let delivery = request.delivery, isTurn(delivery) {
            if settings.coalesce {
                replies.add(
                    delivery: delivery, key: key, text: request.text, media: request.media,
                    replyTo: request.replyTo, request: number)
                return
            }
            // Numbered within the turn, so that the same turn, run again, repeats the same keys.
            segments[delivery, default: 0] += 1
            entry = "\(delivery)#s\(segments[delivery] ?? 0)"
        } else {
            entry = "\(id)/send/\(UUID().uuidString.lowercased())"
        }
        let reply = TurnReplies.Reply(
            key: key, texts: [request.text], media: request.media, replyTo: request.replyTo, requests: [number])
        let changes = acceptReply(reply, id: entry)
        commit(changes) { account in account.sendAccepted(entry) }
    }

    /// Puts a message into the outbox; returns what has to be stored before it may be sent.
    func acceptReply(_ reply: TurnReplies.Reply, id entry: String) -> [StoreChange] {
        let completions = reply.requests.compactMap { pendingRequests.removeValue(forKey: $0) }
        sendCompletions[entry, default: []] += completions
        guard !outbox.contains(entry) else { return [] }
        if let link = links[reply.key.guild], let slot = link.feed.slot(of: reply.key.channel) {
            postFloors[entry] = link.feed.slots[slot].position.brought
        }
        let text = reply.texts.filter { !$0.isEmpty }.joined(separator: "\n\n")
        return outbox.accept(
            id: entry, key: reply.key, text: text, media: reply.media, replyTo: reply.replyTo
        ).compactMap { if case .store(let change) = $0 { change } else { nil } }
    }

    func sendAccepted(_ entry: String) {
        guard let key = outbox.entry(entry)?.key else { return }
        perform(outbox.wake(key, now: .now))
    }

    // MARK: Carrying out

    func perform(_ actions: [Outbox.Action]) {
        for action in actions {
            switch action {
            case .store(let change): commit([change])
            case .upload(let entry, let index): run { account in await account.upload(entry, index: index) }
            case .post(let entry): run { account in await account.post(entry) }
            case .readBack(let entry): run { account in await account.readBack(entry) }
            case .complete(let entry, let outcome): complete(entry, outcome)
            case .wait(let until): armOutbox(until)
            }
        }
    }

    private func armOutbox(_ until: ContinuousClock.Instant) {
        if let due = outboxDue, due <= until { return }
        outboxTimer?.cancel()
        outboxDue = until
        outboxTimer = loop.schedule(after: max(.zero, ContinuousClock.now.duration(to: until))) { [weak self] in
            self?.assumeIsolated { account in
                account.outboxDue = nil
                account.outboxTimer = nil
                let actions = account.outbox.wake(now: .now)
                account.perform(actions)
                if let next = account.outbox.nextDue { account.armOutbox(next) }
            }
        }
    }

    private func guild(of entry: OutboxEntry) async throws -> FabricGuild {
        if let link = links[entry.key.guild] { return link.guild }
        let session = try await environment.sessions.session(for: id)
        guard let info = session.fabric.guilds.first(where: { $0.nodeId == entry.key.guild }) else {
            throw ChannelProblem(
                .failed, "the account is not a member of the guild \(entry.key.guild)", at: "account \(id)",
                remedy: "invite it, or name another guild")
        }
        return try makeGuild(info)
    }

    private func upload(_ id: String, index: Int) async {
        guard let entry = outbox.entry(id) else { return }
        let media = entry.media[index]
        do {
            let guild = try await guild(of: entry)
            let uploaded = try await withGuildToken(entry.key.guild) { token in
                try await guild.upload(
                    file: media.path, name: media.name, mediaType: media.mediaType, token: token)
            }
            perform(outbox.uploaded(id, index: index, answer: Array(try JSONEncoder().encode(uploaded)), now: .now))
        } catch {
            failed(id, error, posting: false)
        }
    }

    private func post(_ id: String) async {
        guard let entry = outbox.entry(id) else { return }
        do {
            let guild = try await guild(of: entry)
            let message = FabricOutgoingMessage(
                content: entry.text,
                attachments: try entry.media.compactMap { media in
                    try media.uploaded.map { try JSONDecoder().decode(FabricUploadedFile.self, from: Data($0)) }
                },
                replyTo: entry.replyTo)
            let key = idempotencyKey(id)
            let posted = try await withGuildToken(entry.key.guild) { token in
                try await guild.post(
                    channel: entry.key.channel, message, idempotencyKey: key, token: token)
            }
            sent(entry, messageId: posted.messageId ?? "", sequence: posted.seq)
        } catch {
            failed(id, error, posting: true)
        }
    }

    private func sent(_ entry: OutboxEntry, messageId: String, sequence: Int64?) {
        lastOutboundAt = environment.wallClock()
        if let sequence, let link = links[entry.key.guild], let slot = link.feed.slot(of: entry.key.channel) {
            link.feed.withSlot(slot) { $0.position.passOver(sequence) }
            markCursor(slot, link)
        }
        logger.info("posted", metadata: ["channel": "\(entry.key.channel)", "message": "\(messageId)"])
        perform(outbox.posted(entry.id, messageId: messageId, sequence: sequence, now: .now))
        checkDrained()
    }

    /// Looks for a message whose post had no answer. Where nothing tells it from an earlier one with the same text, it is
    /// sent again with the same key, which the guild recognises.
    private func readBack(_ id: String) async {
        guard let entry = outbox.entry(id) else { return }
        do {
            guard let floor = postFloors[id] else {
                perform(outbox.notFound(id, now: .now))
                return
            }
            let guild = try await guild(of: entry)
            let page = try await withGuildToken(entry.key.guild) { token in
                try await guild.history(
                    channel: entry.key.channel, from: floor + 1, to: nil, limit: 200, token: token)
            }
            for row in page.messages {
                guard let sequence = row.seq, sequence > floor, let message = ownMessage(row, text: entry.text)
                else { continue }
                sent(entry, messageId: message, sequence: sequence)
                return
            }
            perform(outbox.notFound(id, now: .now))
        } catch {
            failed(id, error, posting: false)
        }
    }

    private func ownMessage(_ row: FabricHistory.Row, text: String) -> String? {
        row.json.withUnsafeBytes { bytes in
            guard let view = FabricMessageView(JSONView(validated: bytes, start: 0, end: bytes.count)), isOwn(view),
                view.content?.string ?? "" == text
            else { return nil }
            return view.idText
        }
    }

    private func failed(_ id: String, _ error: any Error, posting: Bool) {
        if isStopping { return }
        let failure = outboxFailure(error)
        if case .final = failure {
        } else {
            logger.warning(
                "a message could not be sent yet; trying again",
                metadata: ["entry": "\(id)", "reason": "\(operatorText(error))"])
        }
        perform(outbox.failed(id, failure, posting: posting, now: .now))
        checkDrained()
    }

    private func complete(_ id: String, _ outcome: Outbox.Outcome) {
        postFloors[id] = nil
        releaseHeldMedia()
        let completions = sendCompletions.removeValue(forKey: id) ?? []
        let result: ChannelResult
        switch outcome {
        case .sent(let messageId, let sequence):
            var json: [String: JSONValue] = ["messageId": .string(messageId)]
            if let sequence { json["seq"] = .int(sequence) }
            result = ChannelResult(.ok, JSONValue.object(json).serialized)
        case .dead(let reason):
            logger.error("a message can never be sent", metadata: ["entry": "\(id)", "reason": "\(reason)"])
            result =
                ChannelProblem(
                    .failed, reason, at: "account \(self.id), message \(id)",
                    remedy: "it is kept as a dead letter: mend the cause and resubmit it, or drop it"
                ).result
        }
        for completion in completions { completion(result) }
        statusChanged()
    }

    /// Unique per account and message, and fit for a header whatever the ids hold.
    private func idempotencyKey(_ entry: String) -> String {
        var key = "gw-"
        for byte in entry.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x2F, 0x23, 0x3A:
                key.append(Character(Unicode.Scalar(byte)))
            default: key += "_" + String(byte, radix: 16)
            }
        }
        return key.utf8.count <= 200 ? key : "gw-" + stableHash(key)
    }

    private func stableHash(_ text: String) -> String {
        // FNV-1a twice with different offsets: 128 bits that are the same in every process.
        var a: UInt64 = 0xcbf2_9ce4_8422_2325
        var b: UInt64 = 0x9ae1_6a3b_2f90_404f
        for byte in text.utf8 {
            a = (a ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
            b = (b ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 &+ 1
        }
        return String(a, radix: 16) + String(b, radix: 16)
    }

    // MARK: Dead letters

    func resubmit(_ entry: String) -> Bool {
        guard let actions = outbox.resubmit(entry, now: .now) else { return false }
        perform(actions)
        statusChanged()
        return true
    }

    func dropDeadLetter(_ entry: String) -> Bool {
        guard let actions = outbox.drop(entry) else { return false }
        perform(actions)
        statusChanged()
        return true
    }
}
