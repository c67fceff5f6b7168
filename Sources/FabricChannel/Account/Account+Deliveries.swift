import FabricAPI
import JSONBytes
import SocketIO

/// What the sockets bring, and what goes to the gateway.
extension Account {
    @inline(__always)
    func received(_ event: GuildEvent, _ argument: JSONView, _ members: JSONMembers?, from link: GuildLink) {
        // What lay in the socket while the process was stopped is for whoever runs the account now.
        guard mayAct else { return }
        guard case .messageCreated = event else { return receivedOther(event, argument, link) }
        guard let view = FabricMessageView(argument, members: members) else {
            return handle(.unreadable(link.number))
        }
        if recent.isWanted { remember(view, link) }
        if !guestWatch.isEmpty { heard(view, link) }
        // A message for the record goes on from where it arrived, with its bytes where they are.
        if let record = inbox.live(view, argument, link.number, now: environment.moment, &actions.inbox) {
            if record.passesTurn {
                deliverPassing(view, argument, record.slot, link, isFromAgent: record.isFromAgent)
            } else {
                deliver(view, argument, record.slot, link, isFromAgent: record.isFromAgent)
            }
        }
        if !actions.inbox.isEmpty { perform() }
    }

    /// A command that does not wait for the turn it is to end. It is no turn itself.
    private func deliverPassing(
        _ view: FabricMessageView, _ argument: JSONView, _ slot: Int, _ link: GuildLink, isFromAgent: Bool
    ) {
        DeliveryWriter.write(
            view, text: link.text(of: slot, in: inbox),
            facts: DeliveryFacts(wake: false, caughtUp: false, redelivered: false, isFromAgent: isFromAgent),
            tail: DeliveryTail.of(SlashCommand(view.content?.string ?? "", known: [SlashCommand.stop])), to: buffer)
        if environment.gateway.deliver(buffer.bytes) == .taken {
            handle(.recordTaken(link.number, slot: slot, argument))
        }
    }

    @inline(__always)
    private func deliver(
        _ view: FabricMessageView, _ argument: JSONView, _ slot: Int, _ link: GuildLink, isFromAgent: Bool
    ) {
        DeliveryWriter.write(
            record: view, borrowed: link.borrowedText(of: slot, in: inbox), isFromAgent: isFromAgent, to: buffer)
        if environment.gateway.deliver(buffer.bytes) == .taken {
            handle(.recordTaken(link.number, slot: slot, argument))
        }
    }

    @inline(never)
    private func receivedOther(_ event: GuildEvent, _ argument: JSONView, _ link: GuildLink) {
        switch event {
        case .channelJoined: membershipChanged(joined: true, argument, link)
        case .channelLeft: membershipChanged(joined: false, argument, link)
        case .messageUpdated, .messageDeleted, .canvasUpdated, .canvasRemoved: changed(event, argument, link)
        case .typing, .presence: passed(event, argument, link)
        case .messageCreated: break
        }
    }

    private func membershipChanged(joined: Bool, _ argument: JSONView, _ link: GuildLink) {
        guard let change = FabricMembershipEvent(argument) else { return }
        if !joined { membershipEnds(change, link) }
        handle(.membership(link.number, change, joined: joined))
        if joined { membershipBegins(change, link) }
    }

    /// A delivery for the record that had waited.
    func deliverRecord(_ guild: Int, slot: Int, _ message: PendingMessage, isStored: Bool) {
        let text = links[guild].map { $0.text(of: slot, in: inbox) } ?? inbox.conversation(guild, slot)
        let answer = deliver(
            message, text,
            DeliveryFacts(
                wake: false, caughtUp: message.caughtUp, redelivered: message.redelivered,
                isFromAgent: message.isFromAgent), FetchedMedia.Files())
        handle(.recordAnswered(guild, slot: slot, message, isStored: isStored, answer))
    }

    /// A wake delivery: the store has it, its files are here.
    func deliverTurn(_ id: String) {
        guard let turn = inbox.turn(id) else { return }
        let text =
            links[turn.guild].map { $0.text(of: turn.slot, in: inbox) } ?? inbox.conversation(turn.guild, turn.slot)
        let message = turn.message
        turnBegins(turn)
        let tail = tail(of: turn)
        let answer = deliver(
            message, text,
            DeliveryFacts(
                wake: true, caughtUp: message.caughtUp, redelivered: message.redelivered,
                isFromAgent: message.isFromAgent, attempt: message.attempts), media.take(id), tail: tail)
        handle(.answered(id, answer))
    }

    private func deliver(
        _ message: PendingMessage, _ text: ConversationText, _ facts: DeliveryFacts, _ files: FetchedMedia.Files,
        tail: [UInt8] = []
    ) -> DeliveryAnswer {
        message.message.withUnsafeBytes { bytes in
            guard let view = FabricMessageView(JSONView(validated: bytes, start: 0, end: bytes.count)) else {
                return .finished
            }
            // It came before the conversation was read.
            if recent.isWanted, let link = links.values.first(where: { $0.nodeId == text.guild }) {
                remember(view, link)
            }
            DeliveryWriter.write(
                view, id: message.id, text: text, facts: facts, media: files.media, failed: files.failed, tail: tail,
                to: buffer)
            return environment.gateway.deliver(buffer.bytes)
        }
    }

    /// What a turn's delivery says besides the message and its conversation.
    private func tail(of turn: Inbox.Turn) -> [UInt8] {
        var tail: [UInt8] = []
        let known = environment.commands.names
        if !known.isEmpty {
            let text = turn.message.message.withUnsafeBytes { bytes in
                FabricMessageView(JSONView(validated: bytes, start: 0, end: bytes.count))?.content?.string
            }
            tail += DeliveryTail.of(SlashCommand(text ?? "", known: known))
        }
        return tail + guideTail(of: turn) + recentTail(of: turn)
    }

    /// The gateway reports what became of a delivery.
    func settle(_ id: String, _ outcome: DeliveryOutcome) { handle(.settled(id, outcome)) }
}
