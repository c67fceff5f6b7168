import ChannelStore
import FabricAPI

@testable import FabricChannel

/// Posts, and looking for those whose answer got lost. The decisions of `Account.readBack` are repeated here, because its
/// requests end in a call and not in an `await`.
extension SimAccount {
    func post(_ id: String) {
        guard let entry = outgoing.outbox.entry(id) else { return }
        guard let guild = world.guilds.first(where: { $0.id == entry.key.guild }) else { return }
        var key = IdempotencyKey.of(id)
        if world.mutant == .keyNotReused { key += "-\(world.schedule.random.next())" }
        world.trace("post \(id) \"\(entry.text)\"")
        let isRefused = world.isHit(.sendFaults, 0.03)
        let fails = world.isHit(.sendFaults, 0.1)
        let isEmpty = world.isHit(.sendFaults, 0.1)
        ask(guild, isPost: true) { () -> SimMessage? in
            if isRefused || fails { return nil }
            return guild.accept(entry.key.channel, entry.text, key: key, entry: id)
        } _: { [self] (answer: Result<SimMessage?, SimTrouble>) in
            switch answer {
            case .success(.some(let message)):
                if isEmpty { return failed(id, .unknownOutcome(reason: "an answer that says nothing"), posting: true) }
                handle(.posted(id, messageId: message.id, sequence: message.sequence))
            case .success(.none):
                failed(
                    id, fails && !isRefused ? .passing(reason: "503", retryAfter: .seconds(5)) : .final(reason: "403"),
                    posting: true)
            case .failure(let trouble): failed(id, Self.failure(trouble), posting: true)
            }
        }
    }

    private static func failure(_ trouble: SimTrouble) -> Outbox.Failure {
        switch trouble {
        case .unknownOutcome: .unknownOutcome(reason: "no answer")
        case .passing(let words): .passing(reason: words, retryAfter: nil)
        case .refusedToken: .passing(reason: "401", retryAfter: nil)
        case .final: .final(reason: "403")
        }
    }

    private func failed(_ id: String, _ failure: Outbox.Failure, posting: Bool) {
        handle(.failed(id, failure, posting: posting))
    }

    func readBack(_ id: String) {
        guard let entry = outgoing.outbox.entry(id), let floor = entry.floor, world.mutant != .readBackSkipped else {
            return handle(.notFound(id))
        }
        // As `Account` waits for its session.
        guard !inbox.user.isEmpty else { return after(0.1) { [self] in readBack(id) } }
        guard let guild = world.guilds.first(where: { $0.id == entry.key.guild }) else { return }
        readBack(entry, guild, floor: floor, pages: 5)
    }

    private func readBack(_ entry: OutboxEntry, _ guild: SimGuild, floor: Int64, pages: Int) {
        guard pages > 0 else { return handle(.notFound(entry.id)) }
        let from = min(max(floor, ChannelPosition.valid.lowerBound), ChannelPosition.valid.upperBound - 1) + 1
        ask(guild) {
            guild.history(entry.key.channel, from, nil, Inbox.page)
        } _: { [self] (answer: Result<[FabricHistory.Row]?, SimTrouble>) in
            switch answer {
            case .success(.some(let rows)):
                world.trace("look for \(entry.id) above \(floor): \(rows.map { $0.seq ?? -9 })")
                var last = floor
                for row in rows {
                    guard let sequence = row.seq, sequence > floor else { continue }
                    last = max(last, sequence)
                    if let message = ownMessage(row, text: entry.text) {
                        return handle(.posted(entry.id, messageId: message, sequence: sequence))
                    }
                }
                if last > floor { return readBack(entry, guild, floor: last, pages: pages - 1) }
                handle(.notFound(entry.id))
            case .success(.none): failed(entry.id, .final(reason: "403"), posting: false)
            case .failure(let trouble): failed(entry.id, Self.failure(trouble), posting: false)
            }
        }
    }

    private func ownMessage(_ row: FabricHistory.Row, text: String) -> String? {
        row.withMessage { view in
            inbox.isOwn(view) && view.content?.string ?? "" == text ? view.idText : nil
        } ?? nil
    }
}
