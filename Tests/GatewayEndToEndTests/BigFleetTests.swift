import FabricSimulator
import Foundation
import GatewayControl
import PostgreSQLTestServer
import Testing

extension GatewayEndToEnd.Fleets {
    /// Three gateways with very many accounts: what they cost the database, and what happens when one dies. Takes many minutes
    /// and descriptors; with a release build's gateway and module fewer:
    /// FABRIC_FLEET=10000 FABRIC_PRODUCTS=$PWD/.build/release ./setup test --filter Fleets
    @Test(.enabled(if: accounts >= 1000, "FABRIC_FLEET is not set"), .timeLimit(.minutes(60)))
    func manyAccounts() async throws {
        // The simulator has a socket for each agent, and for a moment those of a gateway that is frozen.
        #expect(DescriptorLimit.raise().soft > Self.accounts * 3 / 2 + 1000, "too few descriptors are allowed")
        try await Stage.play { stage in
            let fleet = try await Fleet(
                on: stage, accounts: Self.accounts, sharing: Self.sharing,
                server: [
                    "shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "top",
                    "max_connections": "100",
                ])
            try fleet.database.query("CREATE EXTENSION pg_stat_statements")
            var clock = ContinuousClock.now
            let first = try await fleet.start("a", within: .seconds(600))
            try await fleet.start("b", within: .seconds(600))
            try await fleet.start("c", within: .seconds(600))
            try await fleet.allOwned(by: 3)
            say("every account has a gateway", .now - clock)
            try await fleet.allHear()
            say("every agent hears", .now - clock)
            await tell(fleet, gateways: 3, "the start")

            let seconds = 30.0
            try fleet.database.query("SELECT pg_stat_statements_reset()")
            clock = .now
            // The time over which is counted; nothing is waited for.
            try await Task.sleep(for: .seconds(seconds))
            let cost = try fleet.database.query(
                """
                SELECT sum(calls) FILTER (WHERE query LIKE '%beat = clock_timestamp()%'),
                sum(total_exec_time) FILTER (WHERE query LIKE '%beat = clock_timestamp()%'),
                sum(calls), sum(total_exec_time), sum(wal_bytes) FROM pg_stat_statements
                WHERE query NOT LIKE '%pg_stat_statements%'
                """)[0].map { (Double($0) ?? 0) / ((ContinuousClock.now - clock) / .seconds(1)) }
            write(
                "three gateways at rest, in a second: \(Self.round(cost[0])) beats of \(Self.round(cost[1])) ms of the database; with "
                    + "what accounts keep \(Self.round(cost[2])) statements, \(Self.round(cost[3])) ms and "
                    + "\(Self.round(cost[4] / 1000)) kB of its log")
            // One statement for a beat, whatever the number of accounts.
            #expect(cost[0] > 0 && cost[0] < 10)

            // What moved meanwhile is no part of what follows.
            await stage.sim.resetCounters()
            clock = .now
            first.signal(SIGKILL)
            _ = try await first.end()
            try await fleet.allOwned(by: 2)
            say("every account has another gateway after kill -9", .now - clock)
            try await fleet.allHear()
            say("every agent hears again", .now - clock)
            await tell(fleet, gateways: 2, "kill -9")

            let asked = stride(from: 0, to: Self.accounts, by: max(1, Self.accounts / 100))
            for number in asked { try await fleet.post("are you there?", to: number) }
            try await fleet.answered(within: .seconds(300))
            for number in asked { #expect(await fleet.answers(number) == ["echo: are you there?"]) }
        }
    }

    private static func round(_ value: Double) -> Double { (value * 100).rounded() / 100 }

    private func write(_ what: String) {
        FileHandle.standardError.write(Data("fleet of \(Self.accounts): \(what)\n".utf8))
    }

    /// Says how many logged in, and that no more logins ran together or in a second than so many gateways may.
    private func tell(_ fleet: Fleet, gateways: Int, _ phase: String) async {
        let (counters, overlaps) = await (fleet.stage.sim.counters, fleet.stage.sim.overlaps)
        let worst = overlaps.values.max() ?? 0
        #expect(counters.peakLogins <= 8 * gateways, "\(phase)")
        #expect(counters.peakLoginsPerSecond <= Self.loginsInASecond(gateways), "\(phase)")
        #expect(worst < 2, "\(phase): \(overlaps.count { $0.value > 0.1 }) agents had two sockets")
        write(
            "\(phase): \(counters.requests["POST /api/auth/agent/login"] ?? 0) logins, at most "
                + "\(counters.peakLoginsPerSecond) in a second and \(counters.peakLogins) at once; "
                + "longest overlap of two sockets \(worst) s")
        await fleet.stage.sim.resetCounters()
    }
}

extension Fleet {
    private var patience: Duration { .seconds(120 + members.count / 10) }

    /// Waits until every account has an owner in the database, of so many gateways. Asks the database, for a status of so many
    /// accounts costs the gateways more than what is measured.
    func allOwned(by gateways: Int) async throws {
        let end = ContinuousClock.now.advanced(by: patience)
        var owned: [[String]] = []
        repeat {
            // Another process is waited for: there is nothing that would tell.
            try await Task.sleep(for: .milliseconds(200))
            owned = try database.query(
                """
                SELECT gateway, count(account.row) FROM fabric.member LEFT JOIN fabric.account ON owner = member.row
                GROUP BY gateway
                """)
            let all = owned.reduce(0) { $0 + (Int($1[1]) ?? 0) }
            let least = owned.compactMap { Int($0[1]) }.min() ?? 0
            if owned.count == gateways, all == members.count, least > members.count / gateways / 2 { return }
        } while .now < end
        throw TestFailure("never owned by \(gateways): \(owned)")
    }

    /// Waits until every agent has a socket that is in its channel, and just one. Looks now and then: there are too many
    /// sockets to look at each when one changes.
    func allHear() async throws {
        let rooms = Dictionary(uniqueKeysWithValues: members.map { ($0.agent.id, $0.channel.id) })
        let end = ContinuousClock.now.advanced(by: patience)
        var hearing = 0
        repeat {
            try await Task.sleep(for: .milliseconds(500))
            var found: [String: Int] = [:]
            var joined: Set<String> = []
            for socket in await stage.sim.sockets() {
                guard let user = socket.user, let room = rooms[user] else { continue }
                found[user, default: 0] += 1
                if socket.rooms.contains(room) { joined.insert(user) }
            }
            hearing = joined.count { found[$0] == 1 }
            if hearing == rooms.count { return }
        } while .now < end
        throw TestFailure("only \(hearing) of \(rooms.count) agents hear")
    }
}
