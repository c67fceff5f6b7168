import ChannelStore

/// How many accounts each gateway is to have, as one report shows the cluster. The members of one gateway (an old and a new
/// build during a reload) count together.
struct ClusterShares: Sendable, Equatable {
    struct Gateway: Sendable, Equatable {
        var weight = 0.0
        var wanted = 0
        var owned = 0
        /// It takes accounts: at least one of its members is not draining.
        var takes = false
        var share = 0

        /// How many it is short of.
        var deficit: Int { takes ? max(0, share - owned) : 0 }
    }

    private(set) var gateways: [String: Gateway] = [:]

    /// - Parameters:
    ///   - unrun: how many accounts nobody runs, and somebody wants to.
    ///   - wanted: how many a member wants by now, if it knows better than the report.
    init(_ report: ClusterReport, unrun: Int, wanted: (member: String, count: Int)? = nil) {
        var owned = 0
        for row in report.members {
            var gateway = gateways[row.member.gateway] ?? Gateway()
            gateway.owned = gateway.owned.adding(saturating: max(0, row.owned))
            owned = owned.adding(saturating: max(0, row.owned))
            if !row.member.isDraining {
                gateway.takes = true
                gateway.weight = max(gateway.weight, Self.weight(row.member.weight))
                let count = row.member.id == wanted?.member ? wanted?.count : nil
                gateway.wanted = gateway.wanted.adding(saturating: max(0, count ?? row.member.wanted))
            }
            gateways[row.member.gateway] = gateway
        }
        // What was just given back may be counted as both: there are no more than the store knows, or somebody wants.
        let most = gateways.values.reduce(report.accounts) { max($0, $1.wanted) }
        divide(min(owned.adding(saturating: max(0, unrun)), max(owned, most)))
    }

    /// Where in a list of accounts that nobody runs a gateway is to begin, so that those that are short of accounts ask for
    /// different ones: each after as many as those before it, by name, are short of. If all together are short of what is in
    /// the list, nobody asks for what another asks for, and nothing is left.
    /// - Parameter count: how many are in the list.
    func beginning(of gateway: String, among count: Int) -> Int {
        var all = 0
        var before = 0
        for (name, other) in gateways {
            all = all.adding(saturating: other.deficit)
            if name < gateway { before = before.adding(saturating: other.deficit) }
        }
        guard count > 0, before < all else { return 0 }
        // The product may be wider than a number; less than `all` are before, so that the quotient is less than `count`.
        let product = before.multipliedFullWidth(by: count)
        return all.dividingFullWidth(product).quotient
    }

    /// Whoever wants less than its part gets what it wants; the others divide the rest by weight.
    private mutating func divide(_ accounts: Int) {
        var left = accounts
        var open = gateways.filter(\.value.takes)
        while !open.isEmpty {
            let weights = open.values.reduce(0) { $0 + $1.weight }
            let part = { (gateway: Gateway) in Self.part(of: left, gateway.weight / weights) }
            let modest = open.filter { $0.value.wanted <= part($0.value) }
            guard !modest.isEmpty else {
                for (name, gateway) in open { gateways[name]?.share = part(gateway) }
                return
            }
            for (name, gateway) in modest {
                gateways[name]?.share = gateway.wanted
                left = max(0, left - gateway.wanted)
                open[name] = nil
            }
        }
    }

    /// Rounded up, but for what the division of whole numbers as fractions leaves over.
    private static func part(of accounts: Int, _ fraction: Double) -> Int {
        Int((Double(min(accounts, 1 << 50)) * min(max(fraction, 0), 1) - 1e-6).rounded(.up))
    }

    /// What others write into the store is checked, not believed.
    private static func weight(_ value: Double) -> Double {
        value.isFinite ? min(max(value, 1e-3), 1e6) : 1
    }
}
