import FabricAccounts
import Settings

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The doctor's checks that need no network.
enum FileChecks {
    /// Who may read the files that hold secrets.
    static func secrets(_ configuration: FabricConfiguration, _ identities: IdentityFile) -> [DoctorFinding] {
        var paths: [String] = identities.exists ? [identities.path] : []
        let sources = configuration.accounts.compactMap(\.apiKey) + [configuration.commandsSyncKey].compactMap { $0 }
        for case .file(let path) in sources { paths.append(path) }
        let holdsSecret = sources.contains { if case .inline = $0 { true } else { false } }
        if holdsSecret { paths.append(configuration.file) }
        return paths.compactMap { path in
            var status = stat()
            guard stat(path, &status) == 0, status.st_mode & 0o077 != 0 else { return nil }
            return DoctorFinding(
                .warning, "others than its owner may read it, and it holds secrets", at: path,
                remedy: "chmod 600 \(path)")
        }
    }

    /// The gateway's side of the file, as far as it concerns the accounts: state directory, agents, bindings.
    static func gateway(_ file: String, _ accounts: [String]) -> [DoctorFinding] {
        guard let top = SettingsDocument.read(file: file, findings: SettingsFindings()) else { return [] }
        let directory = FileText.directory(of: file)
        let state = FileText.resolve(top["stateDirectory"]?.string ?? "./state", in: directory)
        return stateDirectory(state) + agents(file, top, accounts)
    }

    private static func stateDirectory(_ path: String) -> [DoctorFinding] {
        var status = stat()
        guard stat(path, &status) == 0 else {
            let parent = FileText.directory(of: path)
            guard errno == ENOENT, access(parent, W_OK) == 0 else {
                return [DoctorFinding(.error, "it is not there and cannot be made", at: path, remedy: "Make it")]
            }
            return [DoctorFinding(.good, "the state directory will be made at the first run", at: path)]
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            return [DoctorFinding(.error, "it is no directory", at: path, remedy: "Name another stateDirectory")]
        }
        var findings: [DoctorFinding] = []
        if access(path, W_OK | X_OK) != 0 {
            findings.append(DoctorFinding(.error, "it cannot be written", at: path, remedy: "Check its owner and mode"))
        }
        var space = statvfs()
        if statvfs(path, &space) == 0 {
            let free = UInt64(space.f_bavail) * UInt64(space.f_frsize) / 1_000_000
            // Attachments of one turn may take a few hundred megabytes.
            if free < 500 {
                findings.append(
                    DoctorFinding(.warning, "only \(free) MB are free", at: path, remedy: "Make room for attachments"))
            }
        }
        return findings.isEmpty ? [DoctorFinding(.good, "the state directory can be used", at: path)] : findings
    }

    private static func agents(_ file: String, _ top: SettingsNode, _ accounts: [String]) -> [DoctorFinding] {
        let agents = Set((top["agents"]?.members ?? []).map(\.name))
        var bound: Set<String> = []
        var findings: [DoctorFinding] = []
        for binding in top["bindings"]?.elements ?? [] {
            if let agent = binding["agentId"]?.string, !agents.contains(agent) {
                findings.append(
                    DoctorFinding(
                        .error, "\(binding.keyPath) names the agent \(agent), which does not exist", at: file,
                        remedy: "Add it under \"agents\", or correct the name"))
            }
            if let account = binding["match"]?["accountId"]?.string { bound.insert(account) }
        }
        for account in accounts where !account.isEmpty && !bound.contains(account) && !agents.contains(account) {
            findings.append(
                DoctorFinding(
                    .warning, "nobody answers for the account \(account): no agent of that name and no binding",
                    at: file,
                    remedy: "Add it under \"agents\", or bind it to an agent under \"bindings\""))
        }
        return findings
    }
}
