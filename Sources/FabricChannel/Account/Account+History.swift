import FabricAPI
import JSONBytes
import Logging

/// Reading gaps from history.
extension Account {
    /// How many rows are asked for at once: the most that the plugins before this one asked for (Fabric contract, 3.4).
    private static let page = 200

    func readHistory(_ link: GuildLink, slot: Int, generation: Int, range: ClosedRange<Int64>) {
        let channel = link.feed.slots[slot].id
        run { account in
            do {
                try await account.readPages(link, slot: slot, generation: generation, channel: channel, range: range)
                account.historyEnded(link, slot: slot, generation: generation)
            } catch {
                if account.isStopping { return }
                await account.historyFailed(link, slot: slot, generation: generation, error: error)
            }
        }
    }

    private func readPages(
        _ link: GuildLink, slot: Int, generation: Int, channel: String, range: ClosedRange<Int64>
    ) async throws {
        var next = range.lowerBound
        while next <= range.upperBound {
            let from = next
            let page = try await withGuildToken(link.nodeId) { token in
                try await link.guild.history(
                    channel: channel, from: from, to: range.upperBound, limit: Self.page, token: token)
            }
            let slots = link.feed.slots
            guard slots.indices.contains(slot), slots[slot].generation == generation, slots[slot].isPresent,
                links[link.nodeId] === link
            else { return }
            var last = next - 1
            for row in page.messages {
                guard let sequence = row.seq, range.contains(sequence), sequence > last else { continue }
                last = sequence
                take(row, sequence: sequence, slot, link)
            }
            // No progress: the guild has no more of the range.
            guard last >= next else { return }
            next = last + 1
        }
    }

    private func take(_ row: FabricHistory.Row, sequence: Int64, _ slot: Int, _ link: GuildLink) {
        guard case .accept(let held) = link.feed.withSlot(slot, { $0.position.row(sequence) }) else {
            link.duplicates &+= 1
            return
        }
        markCursor(slot, link)
        let bytes = held?.message ?? row.json
        bytes.withUnsafeBytes { text in
            let argument = JSONView(validated: text, start: 0, end: text.count)
            guard let view = FabricMessageView(argument) else { return }
            take(view, argument, held: held, slot, link)
        }
    }

    private func take(
        _ view: FabricMessageView, _ argument: JSONView, held: ChannelPosition.Held?, _ slot: Int, _ link: GuildLink
    ) {
        let own = isOwn(view)
        let type = typeOf(view, slot, link)
        link.feed.sawRow(slot, pushable: !own && held == nil && type != .triage && type != .announce)
        if own || !isFirstSight(view, link) { return }
        if held == nil, let created = view.createdAt.flatMap(FabricTime.seconds) {
            if let notBefore = link.feed.slots[slot].notBefore, created < notBefore { return }
            if created < environment.wallClock() - settings.catchUpHours * 3600 {
                perform([.report(.skipped(channel: link.feed.slots[slot].id, count: 1))], on: link)
                return
            }
        }
        let disposition: Disposition
        if let held {
            disposition = WakeRule.live(type, wakeup: held.wake)
        } else {
            disposition = WakeRule.history(type, evidence: evidence(view), infer: settings.infersWake)
        }
        if disposition == .ignore { return }
        enqueue(view, argument, slot, link, wake: disposition == .wake, caughtUp: held?.message == nil)
    }

    private func evidence(_ view: FabricMessageView) -> WakeRule.Evidence {
        let text = view.content?.string ?? ""
        let mentions = Mentions.ids(in: view)
        let author = view.author?.string ?? ""
        return .init(
            mentionsAgent: mentions.contains(ownUserID), mentionsAnyone: !mentions.isEmpty,
            fromSystem: author == FabricRealtime.systemAuthor || text == "/ack")
    }

    private func historyEnded(_ link: GuildLink, slot: Int, generation: Int) {
        guard links[link.nodeId] === link else { return }
        let (ready, actions) = link.feed.historyEnded(slot, generation: generation)
        for (_, held) in ready {
            guard let message = held.message else { continue }
            markCursor(slot, link)
            message.withUnsafeBytes { text in
                let argument = JSONView(validated: text, start: 0, end: text.count)
                guard let view = FabricMessageView(argument) else { return }
                takeHeld(view, argument, held, slot, link)
            }
        }
        perform(actions, on: link)
        storeCursors()
    }

    /// A live message that had waited behind the gap; it is as live as it was.
    private func takeHeld(
        _ view: FabricMessageView, _ argument: JSONView, _ held: ChannelPosition.Held, _ slot: Int, _ link: GuildLink
    ) {
        if isOwn(view) || (link.hasUnsequenced && !isFirstSight(view, link)) { return }
        let disposition = WakeRule.live(typeOf(view, slot, link), wakeup: held.wake)
        if disposition == .ignore { return }
        enqueue(view, argument, slot, link, wake: disposition == .wake, caughtUp: false)
    }

    private func historyFailed(_ link: GuildLink, slot: Int, generation: Int, error: any Error) async {
        if let error = error as? FabricError, error.isFinal {
            perform(
                [.report(.historyGivenUp(channel: link.feed.slots[slot].id, reason: error.operatorText))], on: link)
            historyEnded(link, slot: slot, generation: generation)
            return
        }
        logger.warning(
            "history could not be read; trying again",
            metadata: ["guild": "\(link.nodeId)", "reason": "\(operatorText(error))"])
        guard let (delay, actions) = link.feed.historyFailed(slot, generation: generation) else { return }
        perform(actions, on: link)
        guard await pause(delay), links[link.nodeId] === link else { return }
        if let range = link.feed.remainingGap(slot, generation: generation) {
            readHistory(link, slot: slot, generation: generation, range: range)
        } else {
            historyEnded(link, slot: slot, generation: generation)
        }
    }
}
