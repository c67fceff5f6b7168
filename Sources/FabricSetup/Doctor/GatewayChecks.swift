import FabricAccounts
import GatewayControl
import JSONBytes

/// What a running gateway says of itself: agents that fail, descriptors, code it cannot give back.
struct GatewayChecks {
    /// Its status.
    let status: JSONValue
    /// The state directory.
    let place: String

    var findings: [DoctorFinding] { failing + [descriptors, copies].compactMap(\.self) }

    /// Agents whose last turn failed.
    private var failing: [DoctorFinding] {
        (status["accounts"]?.array ?? []).compactMap { account in
            guard account["channel"]?.string == "fabric", let turns = account["turns"],
                let count = turns["failuresInRow"]?.int, count > 0
            else { return nil }
            let id = account["accountId"]?.string ?? ""
            let agent = account["agent"]?.string ?? "?"
            let reason = turns["lastError"]?.string ?? "no reason given"
            let last = turns["lastErrorAt"]?.string.map { ", the last at \($0)" } ?? ""
            return DoctorFinding(
                .warning, "the agent \(agent) fails: \(reason) (\(count) turn\(count == 1 ? "" : "s in a row")\(last))",
                at: "\(AccountChecks.place(id)), agent \(agent)",
                remedy:
                    "`gateway status --account \(ShellText.quote(id)) --recent` lists its turns; its standard error is in the "
                    + "gateway's log")
        }
    }

    /// Each account that is not connected will want a descriptor for every guild, and now and then one for a request.
    private var descriptors: DoctorFinding? {
        guard let limit = status["descriptors"]?["limit"]?.int, let open = status["descriptors"]?["open"]?.int else {
            return nil
        }
        let usable = max(0, limit - Int64(DescriptorLimit.left(of: Int(clamping: max(0, limit)))))
        let free = usable - max(0, min(usable, open))
        let accounts = status["accounts"]?.array ?? []
        let waiting = accounts.filter { $0["running"]?.bool == true && $0["connected"]?.bool != true }.count
        return DescriptorRoom.finding(
            "\(open) of \(limit) descriptors are in use", free: free, accounts: waiting,
            "accounts that are not connected",
            at: place)
    }

    /// Code cannot be unloaded, so what a reload replaced stays mapped, and its file on the disk though it has no name.
    private var copies: DoctorFinding? {
        guard let count = status["moduleCopies"]?["replaced"]?.int, count > 0 else { return nil }
        let megabytes = Double(status["moduleCopies"]?["bytes"]?.int ?? 0) / 1e6
        return DoctorFinding(
            .note,
            "\(count) replaced module build\(count == 1 ? " is" : "s are") still mapped: "
                + "\(Int(megabytes.rounded(.up))) MB of disk that no directory shows", at: place,
            remedy: "A restart of the gateway gives them back")
    }
}

/// Whether accounts find room among the descriptors.
enum DescriptorRoom {
    /// - Parameters:
    ///   - state: how it stands now.
    ///   - accounts: those that need room; one guild each at least, an eighth more for requests.
    static func finding(
        _ state: String, free: Int64, accounts: Int, _ which: String, at place: String
    ) -> DoctorFinding {
        let room = free - free / 9
        let wanted = Int64(accounts).addingReportingOverflow(Int64(accounts / 8))
        guard wanted.overflow || wanted.partialValue > free else {
            return DoctorFinding(.good, "\(state): there is room for about \(room) more connections", at: place)
        }
        return DoctorFinding(
            .error,
            "\(state): there is room for about \(room) connections, and \(accounts) \(which) need one for each guild",
            at: place, remedy: "Raise the hard limit on open files (ulimit -Hn, LimitNOFILE=), or bind fewer accounts")
    }

    /// Without a gateway to ask: what a process of this user may have.
    static func expected(accounts: Int, commands: Int, at place: String) -> DoctorFinding {
        let limit = DescriptorLimit.current.hard
        // Libraries, the log, the control socket, channel.db; and what commands need, which is held back for them.
        let held = 64 + min(commands * 8, limit / 8) + DescriptorLimit.left(of: limit)
        return finding(
            "a process started from here may have \(limit) descriptors", free: Int64(max(0, limit - held)),
            accounts: accounts, "accounts", at: place)
    }
}
