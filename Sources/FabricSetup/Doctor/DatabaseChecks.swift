import ChannelStore
import FabricAccounts
import GatewayControl
import JSONBytes
import Settings

/// The database that gateways share, the gateways that do, and what they should have alike.
struct DatabaseChecks {
    let store: SharedStoreSettings
    let address: PostgreSQLAddress
    /// What operators call the gateway of this configuration.
    let gateway: String
    /// What this configuration says of its settings.
    let digest: String

    /// What is found with the database.
    func findings(_ found: PostgreSQLInspection) -> [DoctorFinding] {
        [reached(found), clock(found.clockAhead)] + tables(found) + rights(found) + gateways(found) + unowned(found)
    }

    /// It cannot be looked at.
    func finding(_ error: StoreError) -> DoctorFinding {
        let remedy = error.remedy.prefix(1).uppercased() + error.remedy.dropFirst()
        return DoctorFinding(.error, error.problem, at: place, remedy: remedy)
    }

    private var place: String { "\(address), schema \(store.schema)" }

    private func reached(_ found: PostgreSQLInspection) -> DoctorFinding {
        let how =
            !found.isEncrypted
            ? "on this machine, not encrypted"
            : address.isVerified ? "encrypted, its certificate verified" : "on this machine, encrypted"
        return DoctorFinding(.good, "PostgreSQL \(found.serverVersion) answers, \(how)", at: place)
    }

    /// Leases are counted by the database's clock and by clocks that nobody sets, so that a difference costs none; times in
    /// logs, messages and tokens do differ.
    private func clock(_ ahead: Double) -> DoctorFinding {
        guard abs(ahead) > 2 else { return DoctorFinding(.good, "its clock and this machine's agree", at: place) }
        let seconds = (min(abs(ahead), 1e12) * 10).rounded() / 10
        return DoctorFinding(
            .warning, "this machine's clock is \(seconds) s \(ahead > 0 ? "ahead of" : "behind") the database's",
            at: place,
            remedy: "Set the clocks of both, for instance with NTP")
    }

    private func tables(_ found: PostgreSQLInspection) -> [DoctorFinding] {
        guard let version = found.version else {
            return [
                DoctorFinding(
                    .note, "there are no tables in it yet: the first gateway makes them", at: place,
                    remedy: "`gateway run`")
            ]
        }
        let later = version < found.knownVersion ? "; a gateway of this build makes them \(found.knownVersion)" : ""
        let accounts = found.accounts == 1 ? "1 account" : "\(found.accounts) accounts"
        return [DoctorFinding(.good, "its tables have version \(version)\(later), \(accounts)", at: place)]
    }

    private func rights(_ found: PostgreSQLInspection) -> [DoctorFinding] {
        guard !found.missingRights.isEmpty else { return [] }
        return [
            DoctorFinding(
                .error,
                "the user \(address.user) has no right to what it needs: \(found.missingRights.joined(separator: ", "))",
                at: place,
                remedy:
                    "As the database's owner: CREATE SCHEMA \(store.schema) AUTHORIZATION \"\(address.user)\"; or GRANT it "
                    + "what is missing")
        ]
    }

    // MARK: The gateways

    private func gateways(_ found: PostgreSQLInspection) -> [DoctorFinding] {
        guard !found.members.isEmpty else {
            guard found.version != nil else { return [] }
            return [DoctorFinding(.note, "no gateway shares its accounts now", at: place, remedy: "`gateway run`")]
        }
        let live = found.members.filter { $0.secondsSinceBeat < $0.member.leaseSeconds }
        var findings = twins(live)
        for row in found.members { findings += judge(row, live, found.accounts) }
        return findings
    }

    private func judge(_ row: ClusterReport.Row, _ live: [ClusterReport.Row], _ accounts: Int) -> [DoctorFinding] {
        let member = row.member
        let spot = "gateway \(member.gateway.printable(lineBreak: " "))"
        let seconds = (min(max(0, row.secondsSinceBeat), 1e12) * 10).rounded() / 10
        let owned = row.owned == 1 ? "1 account" : "\(row.owned) accounts"
        guard row.secondsSinceBeat < member.leaseSeconds else {
            return [
                DoctorFinding(
                    .warning, "it has not been heard for \(seconds) s, and its \(owned) are for others to take",
                    at: spot,
                    remedy:
                        "Look at process \(member.processIdentifier) on \(member.host.printable(lineBreak: " ")): it is gone, "
                        + "frozen, or does not reach the database")
            ]
        }
        var findings: [DoctorFinding] = []
        let weights = live.filter { !$0.member.isDraining }.reduce(0) { $0 + max(0, $1.member.weight) }
        let share = member.isDraining || weights <= 0 ? 0 : Double(accounts) * member.weight / weights
        if member.isDraining {
            findings.append(
                DoctorFinding(
                    .note, "it is drained and takes no accounts, \(owned)", at: spot,
                    remedy: "`gateway drain --undo` there, or stop it"))
        } else if accounts > 0, share < 0.5 {
            findings.append(
                DoctorFinding(
                    .warning, "its share is 0 accounts beside gateways of so much more weight", at: spot,
                    remedy: "Raise its store.postgresql.weight (\(member.weight)), or stop it"))
        } else {
            findings.append(DoctorFinding(.good, "heard \(seconds) s ago, \(owned)", at: spot))
        }
        return findings + settings(member, spot)
    }

    private func settings(_ member: Member, _ spot: String) -> [DoctorFinding] {
        let differing = SharedSettingsDigest.differences(member.settingsDigest, digest)
        guard !member.settingsDigest.isEmpty, !differing.isEmpty else { return [] }
        let keys = differing.joined(separator: ", ").printable(lineBreak: " ")
        if member.gateway == gateway {
            return [
                DoctorFinding(
                    .warning, "it runs with other settings than stand in the file: \(keys)", at: spot,
                    remedy: "`gateway reload`")
            ]
        }
        return [
            DoctorFinding(
                .warning, "it has other settings than this one: \(keys)", at: spot,
                remedy:
                    "Make them alike, then `gateway reload` where they changed: an account behaves as the gateway does "
                    + "that runs it, and one that few gateways know has few that can take it")
        ]
    }

    /// A name is how members of one process know each other: two processes must not have the same.
    private func twins(_ live: [ClusterReport.Row]) -> [DoctorFinding] {
        var findings: [DoctorFinding] = []
        for (gateway, rows) in Dictionary(grouping: live, by: \.member.gateway).sorted(by: { $0.key < $1.key }) {
            let processes = Set(rows.map { "process \($0.member.processIdentifier) on \($0.member.host)" })
            guard processes.count > 1 else { continue }
            findings.append(
                DoctorFinding(
                    .error,
                    "\(processes.count) gateways call themselves so: \(processes.sorted().joined(separator: ", "))"
                        .printable(lineBreak: " "), at: "gateway \(gateway.printable(lineBreak: " "))",
                    remedy: "Give each its own store.postgresql.gateway, or leave it out"))
        }
        return findings
    }

    /// The gateway that runs shares another database than the file names.
    /// - Parameter status: its status.
    private func otherDatabase(_ status: JSONValue?) -> DoctorFinding? {
        for plugin in status?["plugins"]?.array ?? [] {
            let database = plugin["sharing"]?["database"]
            guard let theirs = database?["place"]?.string, let schema = database?["schema"]?.string else { continue }
            let running = "\(theirs), schema \(schema)".printable(lineBreak: " ")
            guard running != place else { continue }
            return DoctorFinding(
                .error, "the running gateway shares another one: \(running)", at: place,
                remedy: "Restart the gateway, or put back what stood in store.postgresql")
        }
        return nil
    }

    private func unowned(_ found: PostgreSQLInspection) -> [DoctorFinding] {
        let live = found.members.filter { $0.secondsSinceBeat < $0.member.leaseSeconds }
        guard found.unowned > 0, !live.isEmpty else { return [] }
        let accounts = found.unowned == 1 ? "1 account is" : "\(found.unowned) accounts are"
        guard live.contains(where: { !$0.member.isDraining }) else {
            return [
                DoctorFinding(
                    .error, "\(accounts) run by no gateway, for every gateway that runs is drained", at: place,
                    remedy: "Run `gateway drain --undo` on one of them, or start another")
            ]
        }
        return [
            DoctorFinding(
                .note, "\(accounts) run by no gateway: no configuration has them, or they are about to be taken",
                at: place,
                remedy: "Nothing, if they were unbound; what they had stays until it is removed by hand")
        ]
    }
}

extension DatabaseChecks {
    /// What can be said of the store of a configuration; nothing where nothing is shared.
    /// - Parameters:
    ///   - gateway: the status of the gateway that runs, if one does.
    static func findings(
        _ configuration: FabricConfiguration, _ accounts: FabricAccounts, stateDirectory: String?, gateway: JSONValue?,
        world: SetupWorld, offline: Bool
    ) async -> [DoctorFinding] {
        guard let store = configuration.sharedStore else { return [] }
        let address: PostgreSQLAddress
        do throws(SettingsError) {
            if let path = store.certificateAuthorityFile { _ = try CertificateAuthorities(path: path) }
            address = try store.address()
        } catch {
            let runs = gateway?["plugins"]?.array?.contains { $0["sharing"]?["sharing"]?.bool == true } == true
            if runs, case .environment = store.url {
                return [DoctorFinding(.good, "\(error.problem), but the running gateway has it", at: error.file)]
            }
            return [DoctorFinding(error)]
        }
        let checks = DatabaseChecks(
            store: store, address: address, gateway: store.gatewayName(stateDirectory: stateDirectory ?? ""),
            digest: SharedSettingsDigest(configuration, accounts: accounts).description)
        let other = [checks.otherDatabase(gateway)].compactMap(\.self)
        guard !offline else {
            return [DoctorFinding(.good, "the accounts are shared through it", at: checks.place)] + other
        }
        world.progress("asking the database")
        do throws(StoreError) {
            return checks.findings(try await world.inspectDatabase(address, store.schema)) + other
        } catch {
            return [checks.finding(error)] + other
        }
    }
}
