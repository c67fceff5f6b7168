import ChannelStore
import FabricAPI
import JSONBytes

/// What was said last, for deliveries that wake: read once for a conversation, then kept from what passes by. Nothing of it
/// happens unless the gateway asks for it.
extension Account {
    func wish(_ wish: HistoryWish?) {
        guard wish != historyWish else { return }
        historyWish = wish
        recent = [:]
    }

    /// A message passes by.
    @inline(never)
    func remember(_ view: FabricMessageView, _ link: GuildLink) {
        guard let wish = historyWish, let channel = view.channelId?.string, let row = RecentMessages.Row(view) else {
            return
        }
        recent[ChannelKey(guild: link.nodeId, channel: channel)]?.add(row, limit: wish.messages + 1)
    }

    /// Rows that were read for another reason.
    func remember(_ rows: [FabricHistory.Row], _ key: ChannelKey) {
        guard let wish = historyWish, recent[key] != nil else { return }
        for row in rows {
            guard let kept = row.withMessage({ RecentMessages.Row($0) }) ?? nil else { continue }
            recent[key]?.add(kept, limit: wish.messages + 1)
        }
    }

    /// Our own message is in the log; the guild need not send it back.
    func rememberOwn(_ key: ChannelKey, id message: String, sequence: Int64, text: String) {
        guard let wish = historyWish else { return }
        let row = RecentMessages.Row(sequence: sequence, id: message, text: text, author: inbox.user, createdAt: nil)
        recent[key]?.add(row, limit: wish.messages + 1)
    }

    /// What was changed is kept as it is now, and what was deleted is kept no longer.
    func amendRecent(_ event: GuildEvent, _ change: FabricChangeEvent, _ link: GuildLink) {
        guard historyWish != nil, event == .messageUpdated || event == .messageDeleted,
            let message = change.messageId
        else { return }
        for key in recent.keys where key.guild == link.nodeId && (change.channelId ?? key.channel) == key.channel {
            if event == .messageUpdated, change.text == nil {
                // How it reads now has to be asked for.
                recent[key] = nil
            } else {
                recent[key]?.change(message, to: event == .messageDeleted ? nil : change.text)
            }
        }
    }

    /// Whether a turn's conversation has to be read first.
    func needsRecent(_ turn: Inbox.Turn) -> Bool {
        guard historyWish != nil, turn.message.sequence != nil else { return false }
        return recent[key(of: turn)]?.isComplete != true
    }

    /// Reads what was said before a turn's message. Where that fails the delivery goes without.
    func readRecent(_ turn: Inbox.Turn) async {
        guard let wish = historyWish, let sequence = turn.message.sequence, let link = links[turn.guild] else { return }
        let key = key(of: turn)
        if recent[key] == nil { recent[key] = RecentMessages() }
        let (from, to) = (max(0, sequence &- Int64(wish.messages)), sequence &- 1)
        guard from <= to else {
            recent[key]?.isComplete = true
            return
        }
        do {
            let page = try await withGuildToken(link.nodeId) { token in
                try await link.guild.history(
                    channel: key.channel, from: from, to: to, limit: wish.messages, token: token,
                    patience: .seconds(5))
            }
            remember(page.messages, key)
            recent[key]?.isComplete = true
        } catch {
            logger.info(
                "what was said before is not in the delivery",
                metadata: ["channel": "\(key.channel)", "reason": "\(operatorText(error))"])
        }
    }

    /// `history` of a turn's delivery.
    func recentTail(of turn: Inbox.Turn) -> [UInt8] {
        guard let wish = historyWish, let sequence = turn.message.sequence, let known = recent[key(of: turn)] else {
            return []
        }
        return DeliveryTail.member("history", .array(known.before(sequence, wish)))
    }

    private func key(of turn: Inbox.Turn) -> ChannelKey {
        ChannelKey(guild: inbox.nodeID(turn.guild), channel: turn.channel)
    }
}
