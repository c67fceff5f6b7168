import FabricAPI
import FabricAccounts
import Settings

/// Center, its clock, and the guilds as each account sees them.
struct NetworkChecks {
    let world: SetupWorld
    let configuration: FabricConfiguration

    func findings(_ accounts: FabricAccounts) async -> [DoctorFinding] {
        guard let center = configuration.centerApiBase else { return [] }
        world.progress("asking Center at \(center)")
        var findings = [await clock(center)]
        let outcomes = await Probes(world: world, configuration: configuration, opensSockets: false).look(accounts)
        var owners: [String: String] = [:]
        for account in accounts.accounts {
            guard let outcome = outcomes[account.accountId] else { continue }
            let place = AccountChecks.place(account.accountId)
            switch outcome {
            case .failed(let trouble):
                findings.append(DoctorFinding(.error, trouble.what, at: place, remedy: trouble.remedy))
            case .seen(let probe):
                findings += judge(probe, account)
                if let owner = owners.updateValue(account.accountId, forKey: probe.userId), account.userId == nil {
                    let what = "the same Fabric user as account \(owner): both would answer each message"
                    findings.append(DoctorFinding(.error, what, at: place, remedy: AccountChecks.unbinding(account)))
                }
            }
        }
        return findings
    }

    private func judge(_ probe: SetupProbe, _ account: FabricAccount) -> [DoctorFinding] {
        let place = AccountChecks.place(account.accountId)
        var findings = [DoctorFinding(.good, "Center accepts the key", at: place)]
        if let known = account.userId, known != probe.userId {
            let what = "the key belongs to another user than when it was bound"
            findings.append(DoctorFinding(.warning, what, at: place, remedy: "Bind the account again: `setup bind`"))
        }
        if probe.guilds.isEmpty {
            let remedy = "Make the agent a member of a guild"
            findings.append(DoctorFinding(.warning, "the account is a member of no guild", at: place, remedy: remedy))
        }
        for guild in probe.guilds {
            let spot = "\(place), guild \(guild.nodeId)"
            if let trouble = guild.trouble {
                findings.append(DoctorFinding(.error, trouble.what, at: spot, remedy: trouble.remedy))
            } else if guild.channels?.isEmpty ?? true {
                let remedy = "Make the agent a member of a channel"
                findings.append(DoctorFinding(.warning, "it answers, but shows no channel", at: spot, remedy: remedy))
            } else {
                let count = guild.channels?.count ?? 0
                let what = "it answers at \(guild.endpoint), \(count) \(count == 1 ? "channel" : "channels")"
                findings.append(DoctorFinding(.good, what, at: spot))
            }
        }
        return findings
    }

    /// A wrong clock makes fresh tokens look expired.
    private func clock(_ center: String) async -> DoctorFinding {
        do {
            guard let ahead = try await world.clockAhead(center, configuration.certificateAuthorityFile) else {
                return DoctorFinding(.good, "Center answers; it does not tell the time", at: center)
            }
            // The header counts whole seconds, and the answer takes a moment; a minute is what the tokens bear with
            // ease.
            guard abs(ahead) > 60 else {
                return DoctorFinding(.good, "Center answers, and the clocks agree", at: center)
            }
            let seconds = Int(min(abs(ahead), 1e12))
            let what = "this machine's clock is \(seconds) s \(ahead > 0 ? "behind" : "ahead of") Center's"
            return DoctorFinding(.error, what, at: center, remedy: "Set the clock, for instance with NTP")
        } catch {
            return DoctorFinding(
                .error, "Center cannot be reached: \((error as? FabricError)?.asked ?? error)", at: center,
                remedy: "Check channels.fabric.centerApiBase, name resolution, firewall and proxy")
        }
    }
}
