import GatewayControl
import JSONBytes

/// The last turns of accounts, for people.
struct TurnsReport: Sendable {
    let text: String

    init(_ status: JSONValue) {
        var text = ""
        for account in status["accounts"]?.array ?? [] {
            let turns = account["recent"]?.array ?? []
            text += "\nlast turns of \(account["accountId"]?.string ?? "?")"
            text += turns.isEmpty ? ": none since the gateway runs\n" : ", the newest first\n"
            for turn in turns.reversed() {
                let seconds = turn["seconds"]?.double ?? 0
                var words = [
                    turn["startedAt"]?.string ?? "?", "\((seconds * 10).rounded() / 10) s",
                    turn["outcome"]?.string ?? "?",
                    "agent \(turn["agent"]?.string ?? "?")", turn["conversation"]?.string ?? "?",
                ]
                if let sequence = turn["seq"]?.int { words.append("seq \(sequence)") }
                if turn["redelivered"]?.bool == true { words.append("redelivered") }
                if let reason = turn["reason"]?.string { words.append(reason) }
                text += "   " + words.joined(separator: "  ").printable(lineBreak: " ") + "\n"
            }
        }
        self.text = text
    }
}
