import Foundation
import GatewayControl
import Settings

/// The agents that answer for the accounts. That bindings name agents that exist is among the mistakes of the
/// configuration itself.
struct AgentChecks {
    let file: String

    func findings(_ accounts: [String]) -> [DoctorFinding] {
        guard let top = SettingsDocument.read(file: file, findings: SettingsFindings()) else { return [] }
        let agents = top["agents"]?.members ?? []
        var findings = agents.compactMap { command($0) }
        for binding in top["bindings"]?.elements ?? [] {
            guard let match = binding["match"], match["channel"]?.string == "fabric",
                let account = match["accountId"]?.string, !accounts.contains(account)
            else { continue }
            findings.append(
                DoctorFinding(
                    .warning, "\(binding.keyPath) is for the account \(account), which is not bound", at: file,
                    remedy: "Bind it (`setup bind --agent-id \(ShellText.quote(account))`), or remove the binding"))
        }
        return findings + unanswered(accounts)
    }

    /// Accounts that no agent answers for.
    func unanswered(_ accounts: [String]) -> [DoctorFinding] {
        guard let top = SettingsDocument.read(file: file, findings: SettingsFindings()) else { return [] }
        let agents = Set((top["agents"]?.members ?? []).map(\.name))
        let matches = (top["bindings"]?.elements ?? []).compactMap { $0["match"] }
            .filter { $0["channel"]?.string == "fabric" }
        // A binding that names no account is for all of them.
        if matches.contains(where: { $0["accountId"]?.string == nil }) { return [] }
        let bound = Set(matches.compactMap { $0["accountId"]?.string })
        return accounts.filter { !$0.isEmpty && !bound.contains($0) && !agents.contains($0) }.map { account in
            DoctorFinding(
                .warning, "nobody answers for the account \(account): no agent of that name and no binding",
                at: file,
                remedy:
                    "`setup bind --agent-id \(ShellText.quote(account)) --echo`, or with --command PROGRAM … at its end; or "
                    + "bind it to an agent under \"bindings\"")
        }
    }

    /// Whether an agent's program is there and may be run.
    private func command(_ agent: SettingsNode.Member) -> DoctorFinding? {
        guard let node = agent.node["command"] ?? agent.node["acp"]?["command"],
            let program = node.elements?.first?.string, !program.isEmpty
        else { return nil }
        let place = "agent \(agent.name)"
        let (runnable, first) = lookUp(program)
        if let runnable { return DoctorFinding(.good, "its command is \(runnable)", at: place) }
        guard let first else {
            return DoctorFinding(
                .error, "its command \(program) does not exist", at: place,
                remedy: "Correct \(node.keyPath) in \(file), or install the program")
        }
        return DoctorFinding(
            .error, "its command \(first) is not executable", at: place, remedy: "chmod +x \(ShellText.quote(first))")
    }

    /// Why a program cannot be an agent's; nil if it can.
    func fault(of program: String) -> String? {
        let (runnable, first) = lookUp(program)
        guard runnable == nil else { return nil }
        return first.map { "The command \($0) is not executable. chmod +x \(ShellText.quote($0))" }
            ?? "The command \(program) does not exist. Correct it, or install the program first"
    }

    /// The program that would be run, and the first one that is there, as the gateway looks for it.
    private func lookUp(_ program: String) -> (runnable: String?, first: String?) {
        let candidates: [String]
        if program.contains("/") {
            candidates = [FileText.resolve(program, in: FileText.directory(of: file))]
        } else {
            let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
            candidates = path.split(separator: ":").map { "\($0)/\(program)" }
        }
        let there = candidates.filter { access($0, F_OK) == 0 }
        return (there.first(where: Self.mayRun), there.first)
    }

    private static func mayRun(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
    }
}
