import GatewayControl
import JSONBytes

/// Which gateways share the accounts, and who runs how many, for people.
struct SharingReport: Sendable {
    /// A gateway. During a reload of its module it has two members, which are one here.
    struct Row: Sendable, Equatable {
        var gateway: String
        var isThis = false
        var owned: Int64 = 0
        /// How many are its own when all is in balance.
        var share: Double = 0
        var secondsSinceBeat = Double.infinity
        /// It hands everything over, and takes nothing.
        var isDraining = true
        /// Keys of the settings in which it is not as this one.
        var differing: [String] = []
    }

    let rows: [Row]
    /// Who runs an account that does not run here.
    enum Runner: Sendable, Equatable {
        case gateway(String)
        case nobody
        /// It is being asked for.
        case unknown
    }

    /// Who runs the accounts of this gateway that are on standby.
    let runners: [String: Runner]
    /// What is wrong with all of it.
    let problems: [String]
    /// How many accounts run in this gateway.
    let owned: Int64
    private let draining: Bool

    /// Reads what the module says; `nil` if the accounts are not shared.
    init?(_ sharing: JSONValue) {
        guard sharing["sharing"]?.bool == true else { return nil }
        owned = sharing["owned"]?.int ?? 0
        draining = sharing["draining"]?.bool ?? false
        rows = Self.rows(sharing, unowned: sharing["unowned"]?.int ?? 0)
        runners = Dictionary(
            (sharing["accounts"]?.array ?? []).compactMap { account in
                guard let id = account["accountId"]?.string, account["here"]?.bool != true else { return nil }
                if let gateway = account["gateway"]?.string { return (id, .gateway(gateway)) }
                return (id, account["nobody"]?.bool == true ? .nobody : .unknown)
            }, uniquingKeysWith: { first, _ in first })
        var problems: [String] = []
        let database = sharing["database"] ?? .null
        if database["answers"]?.bool == false {
            let since = database["since"]?.string.map { " since \($0)" } ?? ""
            let why = database["problem"]?.string ?? ""
            // A duration of more than it can hold would trap; a lease lasts ten minutes at most.
            let rest = min(sharing["lease"]?["remainingSeconds"]?.double ?? 0, 3600)
            let next =
                rest > 0
                ? "the accounts run on for \(Duration.seconds(rest).brief), then they stop until it does"
                : "no account runs until it does"
            let what =
                database["refuses"]?.bool == true ? "the database refuses this gateway" : "the database does not answer"
            problems.append(
                "\(what)\(since)\(why.isEmpty ? "" : " (\(why))"): \(next); "
                    + "`./setup doctor` says what is wrong with it")
        }
        if let others = sharing["namesakes"]?.texts, !others.isEmpty {
            let gateway = sharing["gateway"]?.string ?? "?"
            problems.append(
                "\(others.joined(separator: ", ")) calls itself gateway \(gateway) too: they count as one, so that one of them "
                    + "may run nothing; give each its own store.postgresql.gateway, or leave it out")
        }
        self.problems = problems
    }

    private static func rows(_ sharing: JSONValue, unowned: Int64) -> [Row] {
        let members = sharing["members"]?.array ?? []
        let weights = members.map { $0["draining"]?.bool == true ? 0 : max(0, $0["weight"]?.double ?? 1) }
        let weight = weights.reduce(0, +)
        let accounts = members.reduce(Double(unowned)) { $0 + Double($1["owned"]?.int ?? 0) }
        var rows: [String: Row] = [:]
        for (member, own) in zip(members, weights) {
            let name = member["gateway"]?.string ?? "?"
            var row = rows[name] ?? Row(gateway: name)
            row.isThis = row.isThis || member["this"]?.bool == true
            row.owned = row.owned.addingReportingOverflow(member["owned"]?.int ?? 0).partialValue
            row.share += weight > 0 ? accounts * own / weight : 0
            row.secondsSinceBeat = min(row.secondsSinceBeat, member["secondsSinceBeat"]?.double ?? .infinity)
            row.isDraining = row.isDraining && member["draining"]?.bool == true
            row.differing = Set(row.differing).union(member["differingSettings"]?.texts ?? []).sorted()
            rows[name] = row
        }
        return rows.values.sorted { $0.gateway < $1.gateway }
    }

    /// The table, with a line end.
    var text: String {
        var table = [["GATEWAY", "ACCOUNTS", "SHARE", "LAST BEAT", ""]]
        for row in rows {
            var notes: [String] = []
            if row.isThis { notes.append("this one") }
            if row.isDraining { notes.append("draining") }
            if !row.differing.isEmpty { notes.append("other settings: \(row.differing.joined(separator: ", "))") }
            let beat = row.secondsSinceBeat
            table.append([
                row.gateway.printable(lineBreak: " "), String(row.owned),
                String(Int64(exactly: row.share.rounded()) ?? 0),
                beat.isFinite ? "\((beat * 10).rounded() / 10) s ago" : "?", notes.joined(separator: "; "),
            ])
        }
        let widths = (0..<5).map { column in table.map { $0[column].count }.max() ?? 0 }
        var text = ""
        for row in table {
            let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
            var line = "   " + cells.joined(separator: "  ")
            while line.hasSuffix(" ") { line.removeLast() }
            text += line + "\n"
        }
        if draining { text += "this gateway is drained and takes no accounts; `gateway drain --undo` ends that\n" }
        return text
    }
}
