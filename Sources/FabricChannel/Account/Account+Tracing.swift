import Logging

/// Why an agent did, or did not, answer: a line per message and turn, never with the text. Only at `debug`, for at a
/// thousand messages a second the lines would cost more than the messages.
extension Account {
    /// Begins, or ends, accounting for every message.
    func trace(_ isOn: Bool) {
        inbox.traces = isOn
        if !isOn { signs.forgetTurns() }
    }

    func trace(_ what: String, _ guild: String, _ channel: String, _ sequence: Int64?) {
        logger.debug("message", metadata: place(guild, channel, sequence).merging(["fate": "\(what)"]) { $1 })
    }

    func turnBegins(_ turn: Inbox.Turn) {
        guard inbox.traces else { return }
        signs.turnBegan(turn.message.id, at: .now)
        logger.debug(
            "turn begun",
            metadata: place(inbox.nodeID(turn.guild), turn.channel, turn.message.sequence).merging(
                ["attempt": "\(turn.message.attempts)"]) { $1 })
    }

    func turnEnded(_ turn: Inbox.EndedTurn) {
        guard inbox.traces else { return }
        let took = signs.turnEnded(turn.id, at: .now)
        logger.debug(
            "turn ended",
            metadata: [
                "guild": "\(turn.guild)", "channel": "\(turn.channel)", "delivery": "\(turn.id)",
                "outcome": "\(turn.outcome)", "seconds": "\(took.map { String(($0 * 1000).rounded() / 1000) } ?? "?")",
            ])
    }

    private func place(_ guild: String, _ channel: String, _ sequence: Int64?) -> Logger.Metadata {
        ["guild": "\(guild)", "channel": "\(channel)", "seq": "\(sequence.map(String.init) ?? "none")"]
    }
}
