import GatewayControl

/// A slash command that the gateway itself carries out.
enum BuiltinCommand: String, Sendable {
    /// The agent's conversation begins anew.
    case new
    /// The turn that runs in the conversation ends.
    case stop
    /// What the agent does.
    case status

    /// The command of a message; `nil` for any other message, and for what an agent writes: it is not to stop others.
    init?(_ head: DeliveryHead) {
        guard !head.authorIsAgent, let command = head.command.flatMap(BuiltinCommand.init(rawValue:)) else {
            return nil
        }
        self = command
    }
}

extension Router {
    /// Carries a command out, and answers it in its conversation.
    func obey(
        _ command: BuiltinCommand, _ turn: Turn, by routed: (name: String, agent: any Agent)?, _ number: UInt64
    ) async {
        let head = turn.head
        switch command {
        case .stop:
            let count = await stopTurns(account: head.account, conversation: head.conversation)
            await answer(head, count == 0 ? "Nothing is running here." : "Stopped.")
        case .new:
            guard let routed else { return await run(turn, by: nil, named: "", number) }
            guard await routed.agent.renew(account: head.account, conversation: head.conversation) else {
                // The agent keeps its conversations itself: it sees the command.
                return await run(turn, by: routed.agent, named: routed.name, number)
            }
            await answer(head, "A new conversation begins.")
        case .status: await answer(head, statusText(of: head.account, agent: routed?.name))
        }
    }

    private func statusText(of account: String, agent: String?) -> String {
        guard let agent else { return "No agent answers for \(account)." }
        var text = "The agent \(agent) is idle."
        if let turns = turns(of: account) {
            let turn = turns.count == 1 ? "one turn" : "\(turns.count) turns"
            text = "The agent \(agent) works on \(turn), the oldest for \((.now - turns.oldest).brief)."
        }
        // What failed is the operator's to see; it may name files and addresses.
        if let standing = standing(of: agent, for: account), standing.failuresInRow > 0 {
            let count = standing.failuresInRow == 1 ? "Its last turn" : "Its last \(standing.failuresInRow) turns"
            text += " \(count) failed; gateway status says why."
        }
        return text
    }
}
