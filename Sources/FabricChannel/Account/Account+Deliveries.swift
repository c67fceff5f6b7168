import FabricAPI
import JSONBytes
import SocketIO

/// What the sockets bring, and what goes to the gateway.
extension Account {
    @inline(__always)
    func received(_ event: GuildEvent, _ argument: JSONView, from link: GuildLink) {
        guard case .messageCreated = event else { return membershipChanged(event, argument, link) }
        guard let view = FabricMessageView(argument) else { return handle(.unreadable(link.number)) }
        // A message for the record goes on from where it arrived, with its bytes where they are.
        if let record = inbox.live(view, argument, link.number, now: environment.moment, &inboxActions) {
            deliver(view, argument, record.slot, link, isFromAgent: record.isFromAgent)
        }
        if !inboxActions.isEmpty { perform() }
    }

    @inline(__always)
    private func deliver(
        _ view: FabricMessageView, _ argument: JSONView, _ slot: Int, _ link: GuildLink, isFromAgent: Bool
    ) {
        DeliveryWriter.write(
            view, text: link.text(of: slot, in: inbox),
            facts: DeliveryFacts(wake: false, caughtUp: false, redelivered: false, isFromAgent: isFromAgent),
            to: buffer)
        if environment.gateway.deliver(buffer.bytes) == .taken {
            handle(.recordTaken(link.number, slot: slot, argument))
        }
    }

    private func membershipChanged(_ event: GuildEvent, _ argument: JSONView, _ link: GuildLink) {
        guard let change = FabricMembershipEvent(argument) else { return }
        let joined = if case .channelJoined = event { true } else { false }
        handle(.membership(link.number, change, joined: joined))
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
        let answer = deliver(
            message, text,
            DeliveryFacts(
                wake: true, caughtUp: message.caughtUp, redelivered: message.redelivered,
                isFromAgent: message.isFromAgent, attempt: message.attempts), media.take(id))
        handle(.answered(id, answer))
    }

    private func deliver(
        _ message: PendingMessage, _ text: ConversationText, _ facts: DeliveryFacts, _ files: FetchedMedia.Files
    ) -> DeliveryAnswer {
        message.message.withUnsafeBytes { bytes in
            guard let view = FabricMessageView(JSONView(validated: bytes, start: 0, end: bytes.count)) else {
                return .finished
            }
            DeliveryWriter.write(
                view, id: message.id, text: text, facts: facts, media: files.media, failed: files.failed, to: buffer)
            return environment.gateway.deliver(buffer.bytes)
        }
    }

    /// The gateway reports what became of a delivery.
    func settle(_ id: String, _ outcome: DeliveryOutcome) { handle(.settled(id, outcome)) }
}
