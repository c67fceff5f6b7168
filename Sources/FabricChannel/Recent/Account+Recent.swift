import ChannelStore
import FabricAPI
import JSONBytes

/// What was said last, for deliveries that wake: read once for a conversation, then kept from what passes by. Nothing of it
/// happens unless the gateway asks for it.
extension Account {
    func wish(_ wish: HistoryWish?) { recent.take(wish) }

    /// A message passes by.
    @inline(never)
    func remember(_ view: FabricMessageView, _ link: GuildLink) {
        guard let channel = view.channelId?.string else { return }
        let key = ChannelKey(guild: link.nodeId, channel: channel)
        guard recent.keeps(key), let row = RecentMessages.Row(view) else { return }
        recent.add(row, key)
    }

    /// Rows that were read for another reason.
    func remember(_ rows: [FabricHistory.Row], _ key: ChannelKey) {
        guard recent.keeps(key) else { return }
        for row in rows {
            if let kept = row.withMessage({ RecentMessages.Row($0) }) ?? nil { recent.add(kept, key) }
        }
    }

    /// Our own message is in the log; the guild need not send it back.
    func rememberOwn(_ key: ChannelKey, id message: String, sequence: Int64, text: String) {
        guard recent.keeps(key) else { return }
        let row = RecentMessages.Row(sequence: sequence, id: message, text: text, author: inbox.user, createdAt: nil)
        recent.add(row, key)
    }

    /// What was changed is kept as it is now, and what was deleted is kept no longer.
    func amendRecent(_ event: GuildEvent, _ change: FabricChangeEvent, _ link: GuildLink) {
        guard recent.isWanted, let message = change.messageId else { return }
        switch event {
        case .messageUpdated:
            recent.update(message, to: change.text, guild: link.nodeId, channel: change.channelId)
        case .messageDeleted: recent.delete(message, guild: link.nodeId, channel: change.channelId)
        default: break
        }
    }

    /// Whether a turn's conversation has to be read first.
    func needsRecent(_ turn: Inbox.Turn) -> Bool {
        recent.isWanted && turn.message.sequence != nil && !recent.isComplete(key(of: turn))
    }

    /// Reads what was said before a turn's message. Where that fails the delivery goes without.
    func readRecent(_ turn: Inbox.Turn) async {
        guard let wish = recent.wish, let sequence = turn.message.sequence, let link = links[turn.guild] else { return }
        let key = key(of: turn)
        if !recent.keeps(key) { recent.begin(key) }
        let (from, to) = (max(0, sequence &- Int64(wish.messages)), sequence &- 1)
        guard from <= to else {
            recent.complete(key)
            return
        }
        do {
            let page = try await withGuildToken(link.nodeId) { token in
                try await link.guild.history(
                    channel: key.channel, from: from, to: to, limit: wish.messages, token: token,
                    patience: .seconds(5))
            }
            remember(page.messages, key)
            recent.complete(key)
        } catch {
            logger.info(
                "what was said before is not in the delivery",
                metadata: ["channel": "\(key.channel)", "reason": "\(operatorText(error))"])
        }
    }

    /// `history` of a turn's delivery.
    func recentTail(of turn: Inbox.Turn) -> [UInt8] {
        guard let sequence = turn.message.sequence, let before = recent.before(sequence, key(of: turn)) else {
            return []
        }
        return DeliveryTail.member("history", .array(before))
    }

    private func key(of turn: Inbox.Turn) -> ChannelKey {
        ChannelKey(guild: inbox.nodeID(turn.guild), channel: turn.channel)
    }
}
