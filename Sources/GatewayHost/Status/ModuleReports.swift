import GatewayControl
import JSONBytes

/// What could never be sent or answered, for people.
struct DeadLettersReport: Sendable {
    let text: String

    init(_ result: JSONValue) {
        let letters = result["deadLetters"]?.array ?? []
        guard !letters.isEmpty else {
            text = "no dead letters\n"
            return
        }
        var lines = ["\(letters.count) dead letter\(letters.count == 1 ? "" : "s")"]
        for letter in letters {
            let isMessage = letter["kind"]?.string != "delivery"
            lines.append("")
            lines.append(letter["id"]?.string ?? "?")
            let what = isMessage ? "never sent" : "never answered"
            lines.append(
                "   account \(letter["accountId"]?.string ?? "?"), to \(letter["to"]?.string ?? "?"), \(what): "
                    + (letter["reason"]?.string ?? ""))
            let files = letter["files"]?.int ?? 0
            var said = letter["text"]?.string ?? ""
            if said.isEmpty, files == 0 { continue }
            said = said.isEmpty ? "" : "“\(said)”"
            if files > 0 { said += "\(said.isEmpty ? "" : ", ")\(files) file\(files == 1 ? "" : "s")" }
            lines.append("   " + said)
        }
        lines.append("")
        lines.append(
            "`gateway deadletters resubmit ID` tries one again, `gateway deadletters drop ID` forgets it (--all: all)")
        text = lines.map { $0.printable(lineBreak: " ") + "\n" }.joined()
    }
}

/// The channels of an account, for people.
struct ChannelsReport: Sendable {
    let text: String

    init(_ result: JSONValue) {
        let channels = result["channels"]?.array ?? []
        guard !channels.isEmpty else {
            text = "it is in no channel, as far as is known; `gateway status` says whether it is connected\n"
            return
        }
        var lines: [String] = []
        var guild: String?
        let width = channels.map { ($0["name"]?.string ?? "").count }.max() ?? 0
        for channel in channels {
            if let id = channel["guild"]?.string, id != guild {
                guild = id
                let name = channel["guildName"]?.string ?? ""
                lines.append("guild \(id)\(name.isEmpty || name == id ? "" : " (\(name))")")
            }
            let name = channel["name"]?.string ?? ""
            let padding = String(repeating: " ", count: max(0, width - name.count))
            let closed = channel["closed"]?.bool == true ? ", closed" : ""
            lines.append(
                "   #\(name)\(padding)  \(channel["to"]?.string ?? "?")  \(channel["xType"]?.string ?? "?")\(closed)")
        }
        text = lines.map { $0.printable(lineBreak: " ") + "\n" }.joined()
    }
}
