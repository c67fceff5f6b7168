import GatewayControl
import JSONBytes

/// The last turns of accounts, for people.
struct TurnsReport: Sendable {
    let text: String

    init(_ status: JSONValue) {
        var text = ""
        for account in status["accounts"]?.elements ?? [] {
            let turns = account["recent"]?.elements ?? []
            text += "\nlast turns of \(account["accountId"]?.text ?? "?")"
            text += turns.isEmpty ? ": none since the gateway runs\n" : ", the newest first\n"
            for turn in turns.reversed() {
                let seconds = turn["seconds"]?.number ?? 0
                var words = [
                    turn["startedAt"]?.text ?? "?", "\((seconds * 10).rounded() / 10) s", turn["outcome"]?.text ?? "?",
                    "agent \(turn["agent"]?.text ?? "?")", turn["conversation"]?.text ?? "?",
                ]
                if let sequence = turn["seq"]?.integer { words.append("seq \(sequence)") }
                if turn["redelivered"]?.flag == true { words.append("redelivered") }
                if let reason = turn["reason"]?.text { words.append(reason) }
                text += "   " + words.joined(separator: "  ").printable(lineBreak: " ") + "\n"
            }
        }
        self.text = text
    }
}
