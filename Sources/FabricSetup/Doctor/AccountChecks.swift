import FabricAccounts
import GatewayControl
import JSONBytes
import Settings

/// Every account by the one decision, and what accounts are to each other.
struct AccountChecks {
    let file: String
    /// The status of the gateway that runs, if one does.
    let gateway: JSONValue?

    func findings(_ accounts: FabricAccounts) -> [DoctorFinding] {
        if accounts.accounts.isEmpty {
            let remedy = "Nothing will connect until one is bound: `setup bind`"
            return [DoctorFinding(.warning, accounts.reason, at: file, remedy: remedy)]
        }
        return accounts.accounts.map(judge) + twins(accounts.accounts)
    }

    /// A bound below what renewals need cuts accounts off, one after the other, minutes after a start that looked well.
    /// - Parameter seconds: `sessionSeconds`; guilds' tokens of 15 min are renewed after eight minutes at the latest.
    static func pace(of accounts: Int, every seconds: Double, atMost most: Int) -> [DoctorFinding] {
        let seconds = min(max(seconds, 1), 480)
        let needed = Int((Double(accounts) / seconds).rounded(.up))
        guard most > 0, needed > most else { return [] }
        let what =
            "\(accounts) accounts that log in again every \(Int(seconds)) s need \(needed) logins a second, more than \(most)"
        let remedy = "Set it to at least \(2 * needed), or to 0 (no bound)"
        return [DoctorFinding(.warning, what, at: "channels.fabric.loginsPerSecond", remedy: remedy)]
    }

    private func judge(_ account: FabricAccount) -> DoctorFinding {
        let place = Self.place(account.accountId)
        if !account.configured {
            return DoctorFinding(
                .error, account.reason, at: place, remedy: "Correct the entry, or bind the account again: `setup bind`")
        }
        if account.credential != .available {
            if running(account.accountId)?["credential"]?.string == "available" {
                return DoctorFinding(.good, "\(account.reason), but the running gateway has it", at: place)
            }
            return DoctorFinding(
                .error, account.reason, at: place,
                remedy: "Provide it for the process that runs the gateway (and for this command)")
        }
        if !account.enabled {
            return DoctorFinding(.warning, account.reason, at: place, remedy: "Set enabled to true if it should run")
        }
        return DoctorFinding(.good, "bound, key from \(account.source)", at: place)
    }

    /// Two accounts that are one user of Fabric would both answer whatever that user hears.
    private func twins(_ accounts: [FabricAccount]) -> [DoctorFinding] {
        var findings: [DoctorFinding] = []
        for (index, one) in accounts.enumerated() where one.mayStart {
            for other in accounts[(index + 1)...] where other.mayStart {
                guard Self.isSame(one, other) else { continue }
                let what = "the same Fabric user as account \(other.accountId): both would answer each message"
                findings.append(
                    DoctorFinding(
                        .error, what, at: Self.place(one.accountId),
                        remedy: Self.unbinding(one)))
            }
        }
        return findings
    }

    private static func isSame(_ one: FabricAccount, _ other: FabricAccount) -> Bool {
        if let first = one.userId, let second = other.userId { return first == second }
        return one.apiKey != nil && one.apiKey == other.apiKey
    }

    private func running(_ id: String) -> JSONValue? {
        gateway?["accounts"]?.array?.first { $0["accountId"]?.string == id && $0["channel"]?.string == "fabric" }
    }

    static func unbinding(_ account: FabricAccount) -> String {
        "Bind it with a key of its own, or: `setup unbind --agent-id \(ShellText.quote(account.accountId))`"
    }

    static func place(_ id: String) -> String { "account \(id.isEmpty ? "(no agent id)" : id)" }
}
