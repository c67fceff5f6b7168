import ChannelStore
import FabricAPI
import Foundation
import JSONBytes
import Logging

/// Sending: taking requests, and carrying out what the outbox decides.
extension Account {
    /// Takes a message to send; `completion` hears how it ended.
    /// - Parameter entry: its id in the outbox, unless it belongs to a turn.
    func send(
        _ request: SendRequest, entry: String? = nil, completion: @escaping @Sendable (RequestResult) -> Void
    ) {
        guard !ending.hasBegun, life.running else {
            completion(
                RequestProblem(
                    .unavailable, "the account is not running", at: "account \(id)", remedy: "start it",
                    retryable: true
                ).result)
            return
        }
        if let delivery = request.delivery, !inbox.isTurn(delivery),
            environment.lease?.lostTurns.contains(delivery, of: id) == true
        {
            return completion(
                RequestProblem(
                    .unavailable, "the turn went on at another gateway, with its account", at: "account \(id)",
                    remedy: "drop the answer; if the delivery comes again, answer that"
                ).result)
        }
        if let problem = mistake(in: request) { return completion(problem.result) }
        let key: ChannelKey?
        do throws(RequestProblem) {
            key = try conversation(for: request.to)
        } catch {
            // The answer of a turn is kept for the operator, whatever becomes of it.
            guard request.delivery != nil, !request.to.isName, let guild = request.to.guild else {
                return completion(error.result)
            }
            key = ChannelKey(guild: guild, channel: request.to.channel)
        }
        let number = answers.add(completion)
        if let key { return accept(request, key, number, entry: entry) }
        run { account in await account.sendWhenKnown(request, number) }
    }

    /// What the caller can mend at once is told at once, and leaves no dead letter behind. Not for the answer of a turn,
    /// which nobody would send again.
    private func mistake(in request: SendRequest) -> RequestProblem? {
        guard request.delivery == nil else { return nil }
        if let missing = request.media.first(where: { !FileManager.default.isReadableFile(atPath: $0.path) }) {
            return RequestProblem(
                .invalid, "the file \(missing.path) does not exist or cannot be read",
                at: "account \(id), send request",
                remedy: "check the path and its permissions")
        }
        return nil
    }

    private func accept(_ request: SendRequest, _ key: ChannelKey, _ number: UInt64, entry: String? = nil) {
        handle(
            .send(
                request, request: number, key: key, isTurn: request.delivery.map(inbox.isTurn) ?? false,
                entry: entry ?? "\(id)/send/\(UUID().uuidString.lowercased())", floor: inbox.highest(key)))
    }

    /// A bare channel id, and no list has shown it: the guilds are asked.
    private func sendWhenKnown(_ request: SendRequest, _ number: UInt64) async {
        do {
            let session = try await environment.sessions.session(for: id)
            if session.fabric.guilds.count == 1 {
                let key = ChannelKey(guild: session.fabric.guilds[0].nodeId, channel: request.to.channel)
                return accept(request, key, number)
            }
            for info in session.fabric.guilds {
                let guild = try makeGuild(info)
                let channels = try await withGuildToken(info.nodeId) { try await guild.channels(token: $0) }
                if channels.contains(where: { $0.id == request.to.channel }) {
                    return accept(request, ChannelKey(guild: info.nodeId, channel: request.to.channel), number)
                }
            }
            answer(
                number,
                RequestProblem(
                    .invalid, "no guild of the account has the channel \(request.to.channel)", at: "account \(id)",
                    remedy: "name the guild: fabric:<guild>/<channel>"))
        } catch {
            answer(
                number,
                RequestProblem(
                    .unavailable, "the channel's guild could not be found: \(operatorText(error))",
                    at: "account \(id)", remedy: "name the guild: fabric:<guild>/<channel>", retryable: true))
        }
    }

    private func answer(_ number: UInt64, _ problem: RequestProblem) { answers.take(number)?(problem.result) }

    // MARK: Carrying out

    private func guild(of entry: OutboxEntry) async throws -> FabricGuild {
        if let number = inbox.number(of: entry.key.guild), let link = links[number] { return link.guild }
        let session = try await environment.sessions.session(for: id)
        guard let info = session.fabric.guilds.first(where: { $0.nodeId == entry.key.guild }) else {
            throw RequestProblem(
                .failed, "the account is not a member of the guild \(entry.key.guild)", at: "account \(id)",
                remedy: "invite it, or name another guild")
        }
        return try makeGuild(info)
    }

    func upload(_ id: String, index: Int) async {
        guard let entry = outgoing.entry(id), entry.media.indices.contains(index) else { return }
        let media = entry.media[index]
        do {
            let guild = try await guild(of: entry)
            let uploaded = try await withGuildToken(entry.key.guild) { token in
                try await guild.upload(
                    file: media.path, name: media.name, mediaType: media.mediaType, token: token)
            }
            handle(.uploaded(id, index: index, answer: Array(try JSONEncoder().encode(uploaded))))
        } catch {
            failed(id, error, posting: false)
        }
    }

    func post(_ id: String) async {
        guard let entry = outgoing.entry(id) else { return }
        do {
            let guild = try await guild(of: entry)
            let message = FabricOutgoingMessage(
                content: entry.text,
                attachments: try entry.media.compactMap { media in
                    try media.uploaded.map { try JSONDecoder().decode(FabricUploadedFile.self, from: Data($0)) }
                },
                replyTo: entry.replyTo)
            let posted = try await withGuildToken(entry.key.guild) { token in
                try await guild.post(
                    channel: entry.key.channel, message, idempotencyKey: IdempotencyKey.of(id), token: token)
            }
            sent(entry, messageId: posted.messageId ?? "", sequence: posted.seq)
        } catch {
            failed(id, error, posting: true)
        }
    }

    private func sent(_ entry: OutboxEntry, messageId: String, sequence: Int64?) {
        signs.lastOutboundAt = environment.wallClock()
        logger.info(
            "posted",
            metadata: [
                "guild": "\(entry.key.guild)", "channel": "\(entry.key.channel)", "message": "\(messageId)",
                "seq": "\(sequence.map(String.init) ?? "none")",
            ])
        if let sequence { rememberOwn(entry.key, id: messageId, sequence: sequence, text: entry.text) }
        handle(.posted(entry.id, messageId: messageId, sequence: sequence))
    }

    /// Looks for a message whose post had no answer. Where nothing tells it from an earlier one with the same text, it is
    /// sent again with the same key, which the guild recognises.
    func readBack(_ id: String) async {
        guard let entry = outgoing.entry(id), var floor = entry.floor else { return handle(.notFound(id)) }
        do {
            let guild = try await guild(of: entry)
            // A thousand messages since then are more than a minute of doubt brings; the key does the rest.
            for _ in 0..<5 {
                let from = min(max(floor, ChannelPosition.valid.lowerBound), ChannelPosition.valid.upperBound - 1) + 1
                let page = try await withGuildToken(entry.key.guild) { token in
                    try await guild.history(
                        channel: entry.key.channel, from: from, to: nil, limit: Inbox.page, token: token)
                }
                var last = floor
                for row in page.messages {
                    guard let sequence = row.seq, sequence > floor else { continue }
                    last = max(last, sequence)
                    if let message = ownMessage(row, text: entry.text) {
                        return sent(entry, messageId: message, sequence: sequence)
                    }
                }
                guard last > floor else { break }
                floor = last
            }
            handle(.notFound(id))
        } catch {
            failed(id, error, posting: false)
        }
    }

    private func ownMessage(_ row: FabricHistory.Row, text: String) -> String? {
        row.withMessage { view in
            inbox.isOwn(view) && view.content?.string ?? "" == text ? view.idText : nil
        } ?? nil
    }

    private func failed(_ id: String, _ error: any Error, posting: Bool) {
        if ending.hasBegun { return }
        handle(.failed(id, outboxFailure(error), posting: posting))
    }

    // MARK: Answering

    func answer(_ requests: [UInt64], _ answer: Outgoing.Answer) {
        if case .dead(let entry, let reason, let isKept) = answer {
            logger.log(
                level: isKept ? .error : .warning, "a message can never be sent",
                metadata: ["entry": "\(entry)", "reason": "\(reason)"])
        }
        guard !requests.isEmpty else { return }
        if case .stopped(isKept: true) = answer, !ending.isStored {
            // Whether that is so is known when the store has confirmed what it was given.
            ending.hold(requests)
            return
        }
        let result = result(of: answer)
        for number in requests { answers.take(number)?(result) }
    }

    /// The store has had its time: those who were to hear that their message is kept hear whether it is.
    func answerHeld() {
        let requests = ending.takeHeld()
        guard !requests.isEmpty else { return }
        let isKept = ending.isStored
        let result =
            isKept
            ? result(of: .stopped(isKept: true))
            : RequestProblem(
                .unavailable, "the account was stopped before the message was sent, and it could not be written down",
                at: "account \(id)", remedy: "look whether it was posted; if not, send it again when the account runs",
                retryable: true
            ).result
        for number in requests { answers.take(number)?(result) }
    }

    private func result(of answer: Outgoing.Answer) -> RequestResult {
        switch answer {
        case .sent(let messageId, let sequence):
            var json: [String: JSONValue] = ["messageId": .string(messageId)]
            if let sequence { json["seq"] = .int(sequence) }
            return RequestResult(.ok, JSONValue.object(json).serialized)
        case .dead(let entry, let reason, false):
            return RequestProblem(
                .failed, reason, at: "account \(id), message \(entry)", remedy: "mend the cause and send it again"
            ).result
        case .dead(let entry, let reason, true):
            return RequestProblem(
                .failed, reason, at: "account \(id), message \(entry)",
                remedy: "it is kept as a dead letter: mend the cause and resubmit it, or drop it"
            ).result
        case .turnFailed:
            return RequestProblem(
                .failed, "the turn was settled as failed, so what it had said was not posted", at: "account \(id)",
                remedy: "settle the turn as finished to have its texts posted"
            ).result
        case .filesLost(let reason):
            return RequestProblem(
                .failed, reason, at: "account \(id)", remedy: "send it again with a file that is there"
            )
            .result
        case .stopped(let isKept):
            return RequestProblem(
                .unavailable, "the account was stopped before the message was sent", at: "account \(id)",
                remedy: isKept
                    ? "it is kept and sent when the account runs again" : "send it again when the account runs",
                retryable: !isKept
            ).result
        }
    }
}
