import GatewayControl
import JSONBytes

/// The status as a person reads it: one line per account, problems first, each with its reason and remedy.
public struct StatusReport: Sendable {
    struct Line: Sendable {
        var account: String
        var state: String
        var details: String
        /// What is wrong; `nil` if all is well.
        var problem: String?
        var remedy: String
        /// Something is off: decides the exit code. A disabled account is nothing off.
        var isProblem: Bool { problem != nil }
    }

    let lines: [Line]
    /// Problems of plugins as a whole.
    let notes: [String]
    private let headline: String

    /// Reads the status object of a gateway.
    public init(_ status: JSONValue) {
        lines = (status["accounts"]?.elements ?? []).map(Self.line).sorted {
            ($0.isProblem ? 0 : 1, $0.account) < ($1.isProblem ? 0 : 1, $1.account)
        }
        var notes: [String] = []
        var plugins: [String] = []
        for plugin in status["plugins"]?.elements ?? [] {
            let id = plugin["id"]?.text ?? "?"
            plugins.append("\(id) \(plugin["version"]?.text ?? "?") (load \(plugin["generation"]?.integer ?? 0))")
            if let problem = plugin["problem"]?.text { notes.append("\(id): \(problem)") }
            if let reason = plugin["unconfigured"]?.text { notes.append("\(id) is not configured: \(reason)") }
        }
        if let limit = status["descriptors"]?["limit"]?.integer, let open = status["descriptors"]?["open"]?.integer,
            open >= limit - limit / 20
        {
            notes.append(
                "\(open) of \(limit) descriptors are in use; raise the limit (ulimit -Hn, LimitNOFILE), or bind fewer accounts"
            )
        }
        for warning in status["warnings"]?.texts ?? [] { notes.append(warning) }
        if plugins.isEmpty { notes.append("no plugin is loaded; see plugins in the configuration") }
        self.notes = notes
        headline =
            "gateway \(status["pid"]?.integer ?? 0), \(plugins.isEmpty ? "no plugins" : plugins.joined(separator: ", "))"
    }

    /// Whether nothing needs the operator: the exit code is 0 then, else 1.
    public var isWell: Bool { notes.isEmpty && !lines.contains(where: \.isProblem) }

    /// The table, with a line end.
    public var text: String {
        let problems = lines.count(where: \.isProblem)
        var text = headline + "\n"
        for note in notes { text += "PROBLEM  \(note)\n" }
        guard !lines.isEmpty else { return text + "no accounts\n" }
        text += "\(lines.count) account\(lines.count == 1 ? "" : "s"), "
        text += problems == 0 ? "all well\n\n" : "\(problems) with problems\n\n"
        let name = max(7, lines.map { $0.account.count }.max() ?? 0)
        let state = max(5, lines.map { $0.state.count }.max() ?? 0)
        text += "   " + Self.pad("ACCOUNT", name) + "  " + Self.pad("STATE", state) + "  DETAILS\n"
        for line in lines {
            text += (line.isProblem ? "!! " : "   ") + Self.pad(line.account, name) + "  " + Self.pad(line.state, state)
            text +=
                "  "
                + [line.problem ?? "", line.remedy, line.details].filter { !$0.isEmpty }.joined(separator: "; ")
                .printable(lineBreak: " ")
                + "\n"
        }
        return text
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private static func line(_ account: JSONValue) -> Line {
        let id = account["accountId"]?.text ?? "?"
        let phase = account["supervision"]?["phase"]?.text ?? "unknown"
        let reason = account["supervision"]?["reason"]?.text ?? account["reason"]?.text ?? ""
        var line = Line(account: id, state: phase, details: details(account), problem: nil, remedy: "")
        switch phase {
        case "disabled": line.details = ""
        case "unconfigured":
            (line.problem, line.remedy) = (reason, "correct the configuration, then gateway reload")
        case "blocked":
            line.problem = "blocked: \(reason)"
            line.remedy = "correct the credential, then gateway reload or gateway unblock --account \(id)"
        case "refused":
            (line.problem, line.remedy) = (reason, "correct the configuration, then gateway reload")
        case "exhausted":
            line.problem = "given up after repeated crashes: \(reason)"
            line.remedy = "look at the log, then gateway unblock --account \(id)"
        case "waiting":
            let seconds = Int((account["supervision"]?["nextStartSeconds"]?.number ?? 0).rounded(.up))
            line.problem = "ended: \(reason)"
            line.remedy = "restarts by itself in \(seconds) s"
        default: judgeRunning(account, &line, reason)
        }
        return line
    }

    private static func judgeRunning(_ account: JSONValue, _ line: inout Line, _ reason: String) {
        line.state = account["lifecycle"]?.text ?? line.state
        if account["credential"]?.text == "unavailable" {
            line.problem = reason.isEmpty ? "its credential is unavailable" : reason
            line.remedy = "provide the variable or file it names"
        } else if account["connected"]?.flag != true {
            let guilds = (account["guilds"]?.elements ?? []).compactMap { guild -> String? in
                guard guild["connected"]?.flag != true, let id = guild["nodeId"]?.text else { return nil }
                let last = guild["lastDisconnect"].flatMap { $0.text ?? $0["reason"]?.text }
                return last.map { "\(id): \($0)" } ?? id
            }
            line.problem = (["not connected", reason] + guilds).filter { !$0.isEmpty }.joined(separator: ", ")
            line.remedy = "it keeps trying by itself"
        } else if let problem = failing(account) {
            line.problem = problem
            line.remedy = "gateway status --account \(line.account) --recent lists its turns"
        } else if let stuck = account["outboxProblem"], let seconds = stuck["seconds"]?.integer, seconds >= 30 {
            line.problem =
                "a message has waited \(Duration.seconds(seconds).brief) to be sent: \(stuck["reason"]?.text ?? "")"
            line.remedy = "it is tried again and again; mend what the reason names"
        } else if let dead = account["deadLetters"]?.integer, dead > 0 {
            line.problem = "\(dead) message\(dead == 1 ? "" : "s") could never be sent, or never answered"
            line.remedy = "gateway deadletters list"
        } else if case .null? = account["agent"] {
            line.problem = "no agent answers for it"
            line.remedy = "add agents.\(line.account), or a binding"
        } else if let seconds = account["turns"]?["waitingSeconds"]?.number, seconds >= longWait {
            line.problem = "a turn has waited \(Duration.seconds(seconds).brief) for a command to end"
            line.remedy = "see which turns run so long, or raise maximumCommands"
        }
    }

    /// Seconds after which a turn that waits for a place is a problem.
    private static let longWait = 60.0

    /// That the agent fails, since the last turn that did not.
    private static func failing(_ account: JSONValue) -> String? {
        guard let turns = account["turns"], let count = turns["failuresInRow"]?.integer, count > 0 else { return nil }
        let last = turns["lastErrorAt"]?.text.map { ", last at \($0)" } ?? ""
        return "the agent \(account["agent"]?.text ?? "") fails: \(turns["lastError"]?.text ?? "no reason given") "
            + "(\(count) turn\(count == 1 ? "" : "s in a row")\(last))"
    }

    /// Agent, guilds, channels, and what waits.
    private static func details(_ account: JSONValue) -> String {
        var parts: [String] = []
        if let agent = account["agent"]?.text { parts.append("agent \(agent)") }
        if let guilds = account["guilds"]?.elements, !guilds.isEmpty {
            let connected = guilds.count { $0["connected"]?.flag == true }
            let channels = guilds.reduce(Int64(0)) {
                $0 + ($1["channels"]?.integer ?? Int64($1["channels"]?.elements?.count ?? 0))
            }
            parts.append("\(connected)/\(guilds.count) guilds, \(channels) channels")
        }
        if let running = account["turns"]?["running"]?.integer, running > 0 {
            let seconds = account["turns"]?["oldestSeconds"]?.number ?? 0
            parts.append("\(running) turn\(running == 1 ? "" : "s") running, \(Duration.seconds(seconds).brief)")
        }
        let guilds = account["guilds"]?.elements ?? []
        for (key, name) in [
            ("skipped", "messages skipped"), ("openGaps", "gaps being read"), ("protocolErrors", "protocol errors"),
        ] {
            let count = guilds.reduce(Int64(0)) { $0.addingReportingOverflow($1[key]?.integer ?? 0).partialValue }
            if count > 0 { parts.append("\(count) \(name)") }
        }
        for (key, name) in [("waiting", "waiting"), ("outbox", "to send")] {
            if let count = account[key]?.integer, count > 0 { parts.append("\(count) \(name)") }
        }
        return parts.joined(separator: ", ")
    }
}
