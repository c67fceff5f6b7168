import FabricAPI
import JSONBytes

/// What happens to conversations besides new messages, for a gateway that said it understands that.
extension Account {
    private var tellsChanges: Bool { settings.hostCapabilities.contains("changes") }

    func changed(_ event: GuildEvent, _ argument: JSONView, _ link: GuildLink) {
        guard let kind = event.change, tellsChanges || recent.isWanted, let change = FabricChangeEvent(argument)
        else {
            return
        }
        amendRecent(event, change, link)
        guard tellsChanges else { return }
        guard change.userId == nil || change.userId != inbox.user else { return }
        var members: [String: JSONValue] = [:]
        switch event {
        case .messageUpdated, .messageDeleted:
            guard let id = change.messageId else { return }
            var message: [String: JSONValue] = ["id": .string(id)]
            if event == .messageUpdated { message["text"] = change.text.map { .string($0) } }
            members["message"] = .object(message)
        case .canvasUpdated: members["canvas"] = change.json["canvas"] ?? change.json
        default: break
        }
        members["user"] = change.userId.map { .string($0) }
        tell(kind, members, channel: change.channelId, link)
    }

    func membershipBegins(_ change: FabricMembershipEvent, _ link: GuildLink) {
        guard change.userId == nil || change.userId == inbox.user else { return }
        tell("membership", ["joined": true], channel: change.channelId, link)
    }

    func membershipEnds(_ change: FabricMembershipEvent, _ link: GuildLink) {
        guard change.userId == nil || change.userId == inbox.user else { return }
        tell("membership", ["joined": false], channel: change.channelId, link)
    }

    private func tell(_ kind: String, _ members: [String: JSONValue], channel: String?, _ link: GuildLink) {
        guard tellsChanges, let channel, let slot = inbox.slot(of: channel, in: link.number) else { return }
        var all = members
        all["kind"] = .string(kind)
        let held = HeldChange(guild: link.number, slot: slot, channel: channel, members: .object(all))
        if heldChanges.isEmpty, inbox.isFree(link.number, slot) { return deliver(held) }
        heldChanges.hold(held)
        deliverHeldChanges()
    }

    /// A change stands in line behind the messages of its conversation that came before it.
    func deliverHeldChanges() {
        guard !heldChanges.isEmpty else { return }
        for change in heldChanges.take(where: { inbox.isFree($0.guild, $0.slot) }) { deliver(change) }
    }

    private func deliver(_ change: HeldChange) {
        guard !ending.hasBegun, inbox.isSlot(change.guild, change.slot),
            inbox.channel(change.guild, change.slot) == change.channel, let link = links[change.guild]
        else { return }
        heldChanges.number &+= 1
        let id = "\(id)/\(link.nodeId)/\(change.channel)/change:\(environment.seed())-\(heldChanges.number)"
        DeliveryWriter.write(change: change.members, id: id, text: link.text(of: change.slot, in: inbox), to: buffer)
        _ = environment.gateway.deliver(buffer.bytes)
    }

    // MARK: What is true for the moment only

    func passed(_ event: GuildEvent, _ argument: JSONView, _ link: GuildLink) {
        guard environment.gateway.hearsPassing, let change = FabricChangeEvent(argument),
            change.userId == nil || change.userId != inbox.user
        else { return }
        var object: [String: JSONValue] = ["account": .string(id), "event": change.json]
        object["user"] = change.userId.map { .string($0) }
        if event == .typing {
            object["kind"] = "typing"
            guard let channel = change.channelId, inbox.slot(of: channel, in: link.number) != nil else {
                return
            }
            object["conversation"] = [
                "id": .string("fabric:\(link.nodeId)/\(channel)"), "guild": .string(link.nodeId),
                "channel": .string(channel),
            ]
        } else {
            object["kind"] = "presence"
            object["status"] = change.json["status"]
        }
        environment.gateway.passing(JSONValue.object(object).serialized)
    }
}

/// A change of a conversation that is to be told.
struct HeldChange: Sendable {
    var guild: Int
    var slot: Int
    var channel: String
    var members: JSONValue
}

/// Changes that wait for the messages before them. They are news, not a log: of too many the oldest go.
struct HeldChanges: Sendable {
    static let most = 500

    private var waiting: [HeldChange] = []
    /// Counts the changes told, for their ids.
    var number: UInt64 = 0

    var isEmpty: Bool { waiting.isEmpty }

    mutating func hold(_ change: HeldChange) {
        waiting.append(change)
        if waiting.count > Self.most { waiting.removeFirst() }
    }

    /// Takes out what may go now, in order.
    mutating func take(where isDue: (HeldChange) -> Bool) -> [HeldChange] {
        let due = waiting.filter(isDue)
        if !due.isEmpty { waiting.removeAll(where: isDue) }
        return due
    }
}
