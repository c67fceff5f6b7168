import FabricSimulator
import Foundation
import JSONBytes
import PostgreSQLTestServer
import Testing

extension GatewayEndToEnd {
    /// Several gateways with the same accounts: one is killed, one is frozen, the database is restarted, one joins, one is
    /// drained, while people go on talking.
    @Suite(.enabled(if: PostgreSQLServer.isAvailable, "PostgreSQL is not installed")) struct Fleets {
        /// Three hundred with the default lease before a release:
        /// FABRIC_FLEET=300 FABRIC_FLEET_LEASE=8 ./setup test --filter Fleets
        /// From 1,000 on `manyAccounts` is run instead.
        static let accounts = number("FABRIC_FLEET").map { Int($0) } ?? 24
        static let lease = number("FABRIC_FLEET_LEASE") ?? (accounts < 1000 ? 4 : 8)
        /// Questions in a second.
        static let rate = number("FABRIC_FLEET_RATE") ?? 10

        private static func number(_ name: String) -> Double? {
            ProcessInfo.processInfo.environment[name].flatMap { Double($0) }
        }

        static var sharing: [String: JSONValue] {
            ["beatSeconds": .double(lease / 4), "leaseSeconds": .double(lease)]
        }

        /// What is measured is said, and judged by nobody: the machine may be busy.
        func say(_ what: String, _ duration: Duration) {
            let seconds = ((duration / .seconds(1)) * 100).rounded() / 100
            FileHandle.standardError.write(Data("fleet of \(Self.accounts): \(what): \(seconds) s\n".utf8))
        }

        /// How many logins the guilds' Center may see in any second: each gateway starts at most so many, which is the setting's
        /// default, and before that second began those were started that had not come yet, of which eight run at a time.
        static func loginsInASecond(_ gateways: Int) -> Int { (100 + 8) * gateways }

        /// No agent had two sockets for longer than it takes a guild to see that one was closed, and no more logins ran
        /// together than so many gateways may. (In a second there are too few here to come near the bound.)
        private func checkOverlaps(_ fleet: Fleet, gateways: Int, _ phase: String) async {
            let overlaps = await fleet.stage.sim.overlaps
            let worst = overlaps.values.max() ?? 0
            #expect(worst < 2, "\(phase): \(overlaps.filter { $0.value > 0.1 })")
            let counters = await fleet.stage.sim.counters
            // Eight for each.
            #expect(counters.peakLogins <= 8 * gateways, "\(phase)")
            FileHandle.standardError.write(
                Data(
                    """
                    fleet of \(Self.accounts): \(phase): longest overlap \(worst) s, \(counters.peakLogins) logins at once, \
                    \(counters.peakLoginsPerSecond) in a second

                    """.utf8))
            await fleet.stage.sim.resetCounters()
        }

        @Test(.enabled(if: accounts < 1000, "see manyAccounts"), .timeLimit(.minutes(20)))
        func everyQuestionIsAnsweredExactlyOnceWhateverHappensToTheGateways() async throws {
            try await Stage.play { stage in
                let fleet = try await Fleet(on: stage, accounts: Self.accounts, sharing: Self.sharing)
                // So that logins that run together are seen to.
                await stage.sim.faults.add(RouteFault(path: "/api/auth/agent/login", delay: 0.02))
                var clock = ContinuousClock.now
                let first = try await fleet.start("a")
                let second = try await fleet.start("b")
                try await fleet.start("c")
                try await fleet.balanced(["a", "b", "c"])
                say("three gateways in balance", .now - clock)
                await checkOverlaps(fleet, gateways: 3, "the start")
                let talk = fleet.talk(every: .seconds(1) / Self.rate)

                clock = .now
                first.signal(SIGKILL)
                _ = try await first.end()
                try await fleet.hearing()
                say("taken over after kill -9", .now - clock)
                try await fleet.balanced(["b", "c"])
                await checkOverlaps(fleet, gateways: 2, "kill -9")

                // Frozen until the other has all of its accounts; the guild sees the sockets of the frozen one open.
                clock = .now
                second.signal(SIGSTOP)
                let all = Int64(fleet.members.count)
                _ = try await eventually("c to have all", within: .seconds(240)) {
                    try await fleet.sharing("c")["owned"]?.int == all ? true : nil
                }
                say("taken over after SIGSTOP", .now - clock)
                try await fleet.post("while b is frozen", to: 0)
                try await fleet.answered()
                clock = .now
                second.signal(SIGCONT)
                try await fleet.balanced(["b", "c"])
                say("in balance again after SIGCONT", .now - clock)
                await fleet.stage.sim.resetCounters()

                clock = .now
                try fleet.database.restart(.immediate)
                say("the database restarted", .now - clock)
                try await fleet.balanced(["b", "c"])
                await checkOverlaps(fleet, gateways: 2, "the database's restart")

                clock = .now
                let fourth = try await fleet.start("d")
                try await fleet.balanced(["b", "c", "d"])
                say("in balance with another", .now - clock)
                await checkOverlaps(fleet, gateways: 3, "one more")

                clock = .now
                var drained = try await fleet.command("c", "drain", "--within", "100")
                let patience = ContinuousClock.now.advanced(by: .seconds(60))
                // One that was not heard for the time of its lease has none at the moment, and says so.
                while drained.code != 0, drained.errors.contains("does not answer"), .now < patience {
                    drained = try await fleet.command("c", "drain", "--within", "100")
                }
                say("drained", .now - clock)
                #expect(drained.code == 0, "\(drained)")
                try await fleet.balanced(["b", "d"])
                let end = ContinuousClock.now.advanced(by: .seconds(60))
                var status = try await fleet.command("c", "status")
                // What it says is as old as its last beat.
                while status.code != 0, .now < end { status = try await fleet.command("c", "status") }
                #expect(status.code == 0 && status.output.contains("\(all) on standby"), "\(status)")
                await checkOverlaps(fleet, gateways: 2, "drain")

                let count = try await talk.end()
                try await fleet.answered()
                for gateway in ["c", "b"] { #expect(try await fleet.command(gateway, "stop").code == 0) }
                // The last one answers for all.
                try await fleet.hearing()
                try await fleet.post("the last", to: fleet.members.count - 1)
                try await fleet.answered()
                #expect(try await fleet.command("d", "stop").code == 0)
                #expect(try await fourth.end() == 0)
                for number in fleet.members.indices {
                    // In the log's order: two that ask at once may be in another here.
                    let asked = await fleet.stage.sim.history(fleet.members[number].channel.id)
                        .filter { $0.author == fleet.human.id }.map { "echo: \($0.content)" }
                    #expect(
                        await fleet.answers(number) == asked, "\(fleet.members[number].account), of \(count) questions")
                }
            }
        }
    }
}
