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
    /// The gateways that share the accounts, by channel, where they are shared.
    let sharing: [SharingReport]
    private let headline: String

    /// Reads the status object of a gateway.
    public init(_ status: JSONValue) {
        let shared = (status["plugins"]?.array ?? []).compactMap { plugin -> (String, SharingReport)? in
            guard let report = plugin["sharing"].flatMap(SharingReport.init) else { return nil }
            return (plugin["id"]?.string ?? "?", report)
        }
        sharing = shared.map(\.1)
        let reports = Dictionary(shared) { first, _ in first }
        lines = (status["accounts"]?.array ?? []).map { account in
            Self.line(account, reports[account["channel"]?.string ?? ""])
        }.sorted {
            ($0.isProblem ? 0 : 1, $0.account) < ($1.isProblem ? 0 : 1, $1.account)
        }
        var notes: [String] = []
        var plugins: [String] = []
        for plugin in status["plugins"]?.array ?? [] {
            let id = plugin["id"]?.string ?? "?"
            plugins.append("\(id) \(plugin["version"]?.string ?? "?") (load \(plugin["generation"]?.int ?? 0))")
            if let problem = plugin["problem"]?.string { notes.append("\(id): \(problem)") }
            if let reason = plugin["unconfigured"]?.string { notes.append("\(id) is not configured: \(reason)") }
        }
        if let limit = status["descriptors"]?["limit"]?.int, let open = status["descriptors"]?["open"]?.int,
            open >= limit - max(limit / 20, min(80, limit / 6))
        {
            notes.append(
                "\(open) of \(limit) descriptors are in use; raise the limit (ulimit -Hn, LimitNOFILE), or bind fewer accounts"
            )
        }
        for report in sharing { notes += report.problems }
        for warning in status["warnings"]?.texts ?? [] { notes.append(warning) }
        if plugins.isEmpty { notes.append("no plugin is loaded; see plugins in the configuration") }
        self.notes = notes
        headline =
            "gateway \(status["pid"]?.int ?? 0), \(plugins.isEmpty ? "no plugins" : plugins.joined(separator: ", "))"
    }

    /// Whether nothing needs the operator: the exit code is 0 then, else 1.
    public var isWell: Bool { notes.isEmpty && !lines.contains(where: \.isProblem) }

    /// The table, with a line end.
    public var text: String {
        let problems = lines.count(where: \.isProblem)
        var text = headline + "\n"
        for note in notes { text += "PROBLEM  \(note)\n" }
        for report in sharing { text += report.text + "\n" }
        guard !lines.isEmpty else { return text + "no accounts\n" }
        text += "\(lines.count) account\(lines.count == 1 ? "" : "s"), "
        text += problems == 0 ? "all well" : "\(problems) with problems"
        let standby = lines.count { $0.state == Self.standby }
        text += standby == 0 ? "\n\n" : "; \(standby) on standby\n\n"
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

    private static let standby = AccountReport.Lifecycle.standby.rawValue

    private static func line(_ account: JSONValue, _ sharing: SharingReport?) -> Line {
        let id = account["accountId"]?.string ?? "?"
        let phase = account["supervision"]?["phase"]?.string ?? "unknown"
        let reason = account["supervision"]?["reason"]?.string ?? account["reason"]?.string ?? ""
        var line = Line(account: id, state: phase, details: details(account), problem: nil, remedy: "")
        switch phase {
        case "disabled": line.details = ""
        case "unconfigured":
            (line.problem, line.remedy) = (reason, "correct the configuration, then `gateway reload`")
        case "blocked":
            line.problem = "blocked: \(reason)"
            line.remedy =
                "correct the credential, then `gateway reload` or `gateway unblock --account \(ShellText.quote(id))`"
        case "refused":
            (line.problem, line.remedy) = (reason, "correct the configuration, then `gateway reload`")
        case "exhausted":
            line.problem = "given up after repeated crashes: \(reason)"
            line.remedy = "look at the log, then `gateway unblock --account \(ShellText.quote(id))`"
        case "waiting":
            let seconds = Int(Self.seconds(account["supervision"]?["nextStartSeconds"]).rounded(.up))
            line.problem = "ended: \(reason)"
            line.remedy = "restarts by itself in \(seconds) s"
        case "starting" where account["lifecycle"]?.string == standby,
            "running" where account["lifecycle"]?.string == standby:
            judgeStandby(account, &line, sharing)
        default: judgeRunning(account, &line, reason)
        }
        return line
    }

    /// An account that another gateway runs is well; one that nobody runs is not.
    private static func judgeStandby(_ account: JSONValue, _ line: inout Line, _ sharing: SharingReport?) {
        let reason = account["reason"]?.string ?? ""
        line.state = standby
        switch sharing?.runners[line.account] {
        case .gateway(let gateway): line.details = "gateway \(gateway) runs it"
        case .nobody:
            line.problem = ["no gateway runs it", reason].filter { !$0.isEmpty }.joined(separator: ": ")
            line.remedy = "it is taken within a few beats, unless every gateway that knows it is drained or away"
            line.details = ""
        case .unknown, nil: line.details = reason
        }
    }

    private static func judgeRunning(_ account: JSONValue, _ line: inout Line, _ reason: String) {
        line.state = account["lifecycle"]?.string ?? line.state
        if account["credential"]?.string == "unavailable" {
            line.problem = reason.isEmpty ? "its credential is unavailable" : reason
            line.remedy = "provide the variable or file it names"
        } else if account["connected"]?.bool != true {
            let guilds = (account["guilds"]?.array ?? []).compactMap { guild -> String? in
                guard guild["connected"]?.bool != true, let id = guild["nodeId"]?.string else { return nil }
                let last = guild["lastDisconnect"].flatMap { $0.string ?? $0["reason"]?.string }
                return last.map { "\(id): \($0)" } ?? id
            }
            // A few tell what it is like; --json has all of them. What the reason says already is said once.
            let few = guilds.prefix(5).filter { !reason.contains($0) }
            let some = guilds.count > 5 ? few + ["and \(guilds.count - 5) more guilds"] : few
            line.problem = (["not connected", reason] + some).filter { !$0.isEmpty }.joined(separator: ", ")
            line.remedy = "it keeps trying by itself"
        } else if let problem = failing(account) {
            line.problem = problem
            line.remedy = "`gateway status --account \(ShellText.quote(line.account)) --recent` lists its turns"
        } else if let stuck = account["outboxProblem"], let seconds = stuck["seconds"]?.int, seconds >= 30 {
            line.problem =
                "a message has waited \(Duration.seconds(seconds).brief) to be sent: \(stuck["reason"]?.string ?? "")"
            line.remedy = "it is tried again and again; mend what the reason names"
        } else if let dead = account["deadLetters"]?.int, dead > 0 {
            line.problem = "\(dead) message\(dead == 1 ? "" : "s") could never be sent, or never answered"
            line.remedy = "`gateway deadletters list`"
        } else if case .null? = account["agent"] {
            line.problem = "no agent answers for it"
            line.remedy = "add agents.\(line.account), or a binding"
        } else if case let seconds = Self.seconds(account["turns"]?["waitingSeconds"]), seconds >= longWait {
            line.problem = "a turn has waited \(Duration.seconds(seconds).brief) for a command to end"
            line.remedy = "see which turns run so long, or raise maximumCommands"
        }
    }

    /// A number of seconds of a status: that of another gateway, or build, may be anything.
    private static func seconds(_ value: JSONValue?) -> Double { min(max(0, value?.double ?? 0), 1e9) }

    /// Seconds after which a turn that waits for a place is a problem.
    private static let longWait = 60.0

    /// That the agent fails, since the last turn that did not.
    private static func failing(_ account: JSONValue) -> String? {
        guard let turns = account["turns"], let count = turns["failuresInRow"]?.int, count > 0 else { return nil }
        let last = turns["lastErrorAt"]?.string.map { ", last at \($0)" } ?? ""
        return "the agent \(account["agent"]?.string ?? "") fails: \(turns["lastError"]?.string ?? "no reason given") "
            + "(\(count) turn\(count == 1 ? "" : "s in a row")\(last))"
    }

    /// Agent, guilds, channels, and what waits.
    private static func details(_ account: JSONValue) -> String {
        var parts: [String] = []
        if let agent = account["agent"]?.string { parts.append("agent \(agent)") }
        if let guilds = account["guilds"]?.array, !guilds.isEmpty {
            let connected = guilds.count { $0["connected"]?.bool == true }
            let channels = guilds.reduce(Int64(0)) {
                $0.addingReportingOverflow($1["channels"]?.int ?? Int64($1["channels"]?.array?.count ?? 0)).partialValue
            }
            parts.append(
                "\(connected)/\(guilds.count) guild\(guilds.count == 1 ? "" : "s"), "
                    + "\(channels) channel\(channels == 1 ? "" : "s")")
        }
        if let running = account["turns"]?["running"]?.int, running > 0 {
            let seconds = Self.seconds(account["turns"]?["oldestSeconds"])
            parts.append("\(running) turn\(running == 1 ? "" : "s") running, \(Duration.seconds(seconds).brief)")
        }
        let guilds = account["guilds"]?.array ?? []
        for (key, name) in [
            ("skipped", "messages skipped"), ("missing", "messages missing in history"),
            ("openGaps", "gaps being read"), ("protocolErrors", "protocol errors"),
        ] {
            let count = guilds.reduce(Int64(0)) { $0.addingReportingOverflow($1[key]?.int ?? 0).partialValue }
            if count > 0 { parts.append("\(count) \(name)") }
        }
        for (key, name) in [("waiting", "waiting"), ("outbox", "to send")] {
            if let count = account[key]?.int, count > 0 { parts.append("\(count) \(name)") }
        }
        return parts.joined(separator: ", ")
    }
}
