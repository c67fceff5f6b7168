import Foundation
import Settings

/// The agents that answer for the accounts. That bindings name agents that exist is among the mistakes of the
/// configuration itself.
struct AgentChecks {
    let file: String

    func findings(_ accounts: [String]) -> [DoctorFinding] {
        guard let top = SettingsDocument.read(file: file, findings: SettingsFindings()) else { return [] }
        let agents = top["agents"]?.members ?? []
        var findings = agents.compactMap { command($0) }
        var bound: Set<String> = []
        for binding in top["bindings"]?.elements ?? [] {
            guard let channel = binding["match"]?["channel"]?.string, channel == "fabric" else { continue }
            guard let account = binding["match"]?["accountId"]?.string else {
                bound.formUnion(accounts)
                continue
            }
            bound.insert(account)
            guard !accounts.contains(account) else { continue }
            findings.append(
                DoctorFinding(
                    .warning, "\(binding.keyPath) is for the account \(account), which is not bound", at: file,
                    remedy: "Bind it (setup bind --agent-id \(account)), or remove the binding"))
        }
        let names = Set(agents.map(\.name))
        for account in accounts where !account.isEmpty && !bound.contains(account) && !names.contains(account) {
            findings.append(
                DoctorFinding(
                    .warning, "nobody answers for the account \(account): no agent of that name and no binding",
                    at: file,
                    remedy: "Add it under \"agents\", or bind it to an agent under \"bindings\""))
        }
        return findings
    }

    /// Whether an agent's program is there and may be run.
    private func command(_ agent: SettingsNode.Member) -> DoctorFinding? {
        guard let node = agent.node["command"], let program = node.elements?.first?.string, !program.isEmpty else {
            return nil
        }
        let place = "agent \(agent.name)"
        let candidates: [String]
        if program.contains("/") {
            candidates = [FileText.resolve(program, in: FileText.directory(of: file))]
        } else {
            let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
            candidates = path.split(separator: ":").map { "\($0)/\(program)" }
        }
        let there = candidates.filter { access($0, F_OK) == 0 }
        if let runnable = there.first(where: Self.mayRun) {
            return DoctorFinding(.good, "its command is \(runnable)", at: place)
        }
        guard let first = there.first else {
            return DoctorFinding(
                .error, "its command \(program) does not exist", at: place,
                remedy: "Correct \(node.keyPath) in \(file), or install the program")
        }
        return DoctorFinding(
            .error, "its command \(first) is not executable", at: place, remedy: "chmod +x \(first)")
    }

    private static func mayRun(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
    }
}
