import ChannelStore
import Testing

@testable import FabricChannel

/// The keeper of leases, with events and times by hand.
@Suite struct LeaseKeeperTests {
    private let start = ContinuousClock.now

    /// A keeper, and the last things it said.
    private final class Bench {
        var keeper: LeaseKeeper
        var actions: [LeaseKeeper.Action] = []
        let start: ContinuousClock.Instant
        var seconds = 0.0

        init(_ start: ContinuousClock.Instant, weight: Double = 1, gateway: String = "gw-1") {
            self.start = start
            let names = Names()
            keeper = LeaseKeeper(
                settings: .init(
                    member: Member(id: "", gateway: gateway, weight: weight, leaseSeconds: 8),
                    newID: { names.next() }))
        }

        private final class Names: @unchecked Sendable {  // Unchecked: a test has one thread.
            private var count = 0
            func next() -> String {
                count += 1
                return "m\(count)"
            }
        }

        @discardableResult
        func at(_ seconds: Double, _ event: LeaseKeeper.Event) -> [LeaseKeeper.Action] {
            self.seconds = seconds
            actions = []
            keeper.handle(event, now: start.advanced(by: .seconds(seconds)), &actions)
            return actions
        }

        var beat: UInt64? {
            actions.lazy.compactMap { if case .beat(_, let number) = $0 { number } else { nil } }.last
        }

        /// A report of this gateway and others: names, and how many they have.
        func report(owned: Int, others: [(String, Int)] = [], unowned: Int = 0) -> ClusterReport {
            var rows = [ClusterReport.Row(member: keeper.member, owned: owned, secondsSinceBeat: 0)]
            for (name, owned) in others {
                var member = Member(id: name, gateway: name, wanted: 100, leaseSeconds: 8)
                member.wanted = 100
                rows.append(.init(member: member, owned: owned, secondsSinceBeat: 1))
            }
            let all = owned + others.reduce(0) { $0 + $1.1 } + unowned
            return ClusterReport(members: rows, accounts: all, unowned: unowned, time: 0)
        }

        var claim: (names: [String], atMost: Int, number: UInt64)? {
            for case .claim(let names, let atMost, let number) in actions { return (names, atMost, number) }
            return nil
        }

        func leases(_ names: [String], epoch: Int64 = 1) -> [AccountLease] {
            names.map { AccountLease(account: $0, member: keeper.member.id, epoch: epoch) }
        }
    }

    /// A keeper that runs these accounts; its first beat was sent at 0 and confirmed at 0.1 s.
    private func running(_ names: [String]) throws -> Bench {
        let fresh = Bench(start)
        fresh.at(0, .tick)
        let beat = try #require(fresh.beat)
        for name in names { fresh.at(0, .wanted(name)) }
        fresh.at(0.1, .answered(beat: beat, fresh.report(owned: 0), busy: []))
        let claim = try #require(fresh.claim)
        let actions = fresh.at(0.2, .claimed(claim.number, fresh.leases(claim.names)))
        #expect(actions.filter { if case .start = $0 { true } else { false } }.count == names.count)
        return fresh
    }

    @Test func nothingStartsBeforeABeatWasConfirmed() throws {
        let bench = Bench(start)
        let actions = bench.at(0, .wanted("a"))
        #expect(!actions.contains(.start("a")))
        #expect(bench.beat != nil)
        #expect(!bench.keeper.isInForce(at: start))
    }

    @Test func theLeaseCountsFromBeforeTheBeatAndEndsEverythingAtOnce() throws {
        let bench = try running(["a", "b"])
        #expect(bench.keeper.isInForce(at: start.advanced(by: .seconds(6.9))))
        #expect(!bench.keeper.isInForce(at: start.advanced(by: .seconds(7))))
        let old = bench.keeper.member.id
        let actions = bench.at(7, .tick)
        #expect(actions.contains(.end(["a", "b"], reason: "no beat was confirmed in time")))
        #expect(bench.keeper.member.id != old, "it begins anew as another member")
    }

    /// Who was stopped hears of an answer before it looks at the clock.
    @Test func anAnswerThatIsHeardTooLateRenewsNothing() throws {
        let bench = try running(["a"])
        bench.at(2, .tick)
        let beat = try #require(bench.beat)
        let actions = bench.at(30, .answered(beat: beat, bench.report(owned: 1), busy: []))
        #expect(actions.contains(.end(["a"], reason: "no beat was confirmed in time")))
        #expect(!bench.keeper.isInForce(at: start.advanced(by: .seconds(30))))
    }

    @Test func answersOutOfOrderNeverShortenALease() throws {
        let bench = try running(["a"])
        bench.at(2, .tick)
        let second = try #require(bench.beat)
        bench.at(4, .tick)
        let third = try #require(bench.beat)
        bench.at(4.2, .answered(beat: third, bench.report(owned: 1), busy: []))
        bench.at(4.3, .answered(beat: second, bench.report(owned: 1), busy: []))
        #expect(bench.keeper.isInForce(at: start.advanced(by: .seconds(10.9))))
        #expect(!bench.keeper.isInForce(at: start.advanced(by: .seconds(11))))
    }

    @Test func aRunIsNotStartedAgainBeforeTheLastHasEnded() throws {
        let bench = try running(["a"])
        bench.at(3, .refused("a"))
        #expect(bench.actions.contains(.end(["a"], reason: "another gateway has its lease")))
        bench.at(5.5, .tick)
        let beat = try #require(bench.beat)
        bench.at(5.6, .answered(beat: beat, bench.report(owned: 0, unowned: 1), busy: []))
        #expect(bench.claim == nil, "its run is still being torn down")
        bench.at(5.7, .stopped("a"))
        #expect(bench.actions.contains(.standby(["a"])))
    }

    /// Whoever takes over looks when the lease of the silent one ends, not a beat later.
    @Test func theStoreIsAskedWhenTheLeaseOfASilentGatewayEnds() throws {
        let bench = try running(["a"])
        bench.at(2, .tick)
        var beat = try #require(bench.beat)
        var report = bench.report(owned: 1, others: [("gw-2", 1)])
        bench.at(2.1, .answered(beat: beat, report, busy: []))
        #expect(bench.keeper.due == start.advanced(by: .seconds(4)), "it was heard a second ago: it lives")

        bench.at(4, .tick)
        beat = try #require(bench.beat)
        report.members[1].secondsSinceBeat = 7.25
        bench.at(4.1, .answered(beat: beat, report, busy: []))
        #expect(bench.keeper.due.isNear(start.advanced(by: .milliseconds(4860))))
        bench.at(4.8, .tick)
        #expect(bench.beat == nil)
        bench.at(4.87, .tick)
        beat = try #require(bench.beat)
        #expect(bench.keeper.due.isNear(start.advanced(by: .milliseconds(6870))), "nothing is known of the next")

        // It is still there (something it writes is waited for): it is looked again at the next beat.
        report.members[1].secondsSinceBeat = 8.2
        bench.at(4.9, .answered(beat: beat, report, busy: []))
        #expect(bench.keeper.due.isNear(start.advanced(by: .milliseconds(6870))))
    }

    /// What others say of their leases does not make this one ask without end.
    @Test func leasesOfNoLengthAreNotLookedAfterWithoutEnd() throws {
        for lease in [0, 0.001, 1, -1, .infinity, .nan] {
            let bench = try running(["a"])
            bench.at(2, .tick)
            let beat = try #require(bench.beat)
            var report = bench.report(owned: 1, others: [("gw-2", 1)])
            report.members[1].member.leaseSeconds = lease
            report.members[1].secondsSinceBeat = 0
            bench.at(2.001, .answered(beat: beat, report, busy: []))
            let least = lease == 1 ? 3011 : lease == 0 || lease == 0.001 ? 2250 : 4000
            #expect(bench.keeper.due.isNear(start.advanced(by: .milliseconds(least))), "\(lease)")
        }
    }

    @Test func theStoreLetUsGo() throws {
        let bench = try running(["a"])
        let actions = bench.at(3, .gone(member: bench.keeper.member.id))
        #expect(actions.contains(.end(["a"], reason: "the store let this gateway go")))
        #expect(bench.at(3.1, .gone(member: "m1")).isEmpty, "it was said of the one before")
    }

    @Test func excessIsGivenBackAfterTwoReportsQuietOnesFirst() throws {
        let names = (0..<6).map { "a\($0)" }
        let bench = try running(names)
        var stopped: [String] = []
        for (number, time) in [2.0, 4.0].enumerated() {
            bench.at(time, .tick)
            let beat = try #require(bench.beat)
            bench.at(
                time + 0.1, .answered(beat: beat, bench.report(owned: 6, others: [("gw-2", 0)]), busy: ["a0", "a1"]))
            for case .stop(let account, _, .balance) in bench.actions { stopped.append(account) }
            if number == 0 { #expect(stopped.isEmpty, "once may be a moment of somebody else's taking") }
        }
        #expect(stopped == ["a2", "a3", "a4"])
    }

    @Test func aBusyAccountIsGivenBackOnlyAfterAMinute() throws {
        let bench = try running(["a0", "a1"])
        var at: Double?
        for beat in 1...40 {
            let time = Double(beat) * 2
            bench.at(time, .tick)
            let number = try #require(bench.beat)
            bench.at(
                time + 0.1,
                .answered(beat: number, bench.report(owned: 2, others: [("gw-2", 0)]), busy: ["a0", "a1"]))
            if bench.actions.contains(where: { if case .stop = $0 { true } else { false } }) {
                at = time
                break
            }
        }
        #expect(try #require(at) >= 60)
    }

    @Test func nobodyIsToldToGiveWhenNobodyIsShort() throws {
        let bench = try running(["a0", "a1", "a2"])
        for time in [2.0, 4.0, 6.0] {
            bench.at(time, .tick)
            let beat = try #require(bench.beat)
            bench.at(time + 0.1, .answered(beat: beat, bench.report(owned: 3, others: [("gw-2", 3)]), busy: []))
            #expect(!bench.actions.contains { if case .stop = $0 { true } else { false } })
        }
    }

    @Test func theAnswerToAClaimGotLostAndIsAskedForAgain() throws {
        let bench = Bench(start)
        bench.at(0, .tick)
        let first = try #require(bench.beat)
        bench.at(0, .wanted("a"))
        bench.at(0.1, .answered(beat: first, bench.report(owned: 0), busy: []))
        let claim = try #require(bench.claim)
        bench.at(1, .claimFailed(claim.number))
        var again: (names: [String], atMost: Int, number: UInt64)?
        for time in [2.0, 4.0, 6.0] where again == nil || again?.atMost != 0 {
            bench.at(time, .tick)
            let beat = try #require(bench.beat)
            bench.at(time + 0.1, .answered(beat: beat, bench.report(owned: 1), busy: []))
            if let claim = bench.claim {
                again = claim
                bench.at(time + 0.2, .claimed(claim.number, bench.leases(["a"])))
            }
        }
        #expect(bench.keeper.isHere("a"))
    }

    /// Who drains and loses its lease has handed nothing over: that others run it is still to be heard.
    @Test func aLeaseThatIsLostWhileDrainingIsNoDrain() throws {
        let bench = try running(["a", "b"])
        bench.at(1, .drain(until: start.advanced(by: .seconds(60))))
        #expect(bench.actions.contains { if case .stop("a", _, .drain) = $0 { true } else { false } })
        bench.at(7, .tick)
        #expect(bench.actions.contains(.end(["a", "b"], reason: "no beat was confirmed in time")))
        for account in ["a", "b"] {
            bench.at(7.1, .stopped(account))
            #expect(!bench.actions.contains(.drained))
        }
        #expect(bench.keeper.given == ["a", "b"])
        bench.at(9.5, .tick)
        let beat = try #require(bench.beat)
        bench.at(9.6, .answered(beat: beat, bench.report(owned: 0, others: [("gw-2", 2)]), busy: []))
        #expect(bench.actions.contains(.askRunners(["a", "b"])))
        let member = bench.keeper.member.id
        bench.at(9.7, .runners(["a", "b"], ["a": "gw-2", "b": "gw-2"], member: member))
        #expect(bench.actions.contains(.drained))
    }

    /// A drained gateway takes nothing, so that it would never find out by trying.
    @Test func aDrainedGatewayHearsThatSomebodyRunsIt() throws {
        let bench = try running(["a"])
        bench.at(1, .drain(until: start.advanced(by: .seconds(60))))
        bench.at(1.1, .stopped("a"))
        bench.at(1.2, .released(bench.leases(["a"])))
        // gw-2 takes it, dies, and takes it again.
        var runners: [LeaseKeeper.Runner] = []
        for beat in 1...40 {
            let time = Double(beat) * 2
            bench.at(time, .tick)
            guard let number = bench.beat else { continue }
            let isRun = beat < 6 || beat > 9
            let report = bench.report(owned: 0, others: [("gw-2", isRun ? 1 : 0)], unowned: isRun ? 0 : 1)
            bench.at(time + 0.1, .answered(beat: number, report, busy: []))
            if bench.actions.contains(.askRunners(["a"])) {
                let found = isRun ? ["a": "gw-2"] : [:]
                bench.at(time + 0.2, .runners(["a"], found, member: bench.keeper.member.id))
            }
            runners.append(bench.keeper.records["a"]?.runner ?? .unknown)
        }
        #expect(runners.first == .gateway("gw-2") && runners.last == .gateway("gw-2"), "\(runners)")
        #expect(runners.contains(.nobody), "\(runners)")
    }

    /// Who runs an account is asked for again and again; until that is answered, what was known is told.
    @Test func whoRunsItIsToldWhileItIsAskedForOnceMore() throws {
        let bench = Bench(start)
        bench.at(0, .wanted("a"))
        let member = bench.keeper.member.id
        var (asked, told) = (0, 0)
        for beat in 1...40 {
            let time = Double(beat) * 2
            bench.at(time, .tick)
            guard let number = bench.beat else { continue }
            // One that it gives away may be this one.
            let report = bench.report(owned: 0, others: [("gw-2", 50 - beat)])
            bench.at(time + 0.1, .answered(beat: number, report, busy: []))
            if bench.actions.contains(.askRunners(["a"])) {
                asked += 1
                if asked > 1 { #expect(bench.keeper.reason(of: "a") == .runs(gateway: "gw-2")) }
                bench.at(time + 0.2, .runners(["a"], ["a": "gw-2"], member: member))
                told += bench.actions.contains(.standby(["a"])) ? 1 : 0
            }
            #expect(bench.keeper.reason(of: "a") == .runs(gateway: "gw-2"))
        }
        #expect(asked > 10 && told == 1, "asked \(asked) times, told \(told) times")
        // One that has none any more runs nothing.
        bench.at(90, .tick)
        let beat = try #require(bench.beat)
        bench.at(90.1, .answered(beat: beat, bench.report(owned: 0, others: [("gw-2", 0), ("gw-3", 50)]), busy: []))
        #expect(bench.actions.contains(.askRunners(["a"])))
        #expect(bench.keeper.reason(of: "a") == .waiting)
    }

    /// The release may be on its way, and would end the lease under the new run.
    @Test func aLeaseThatIsBeingGivenBackIsNotRunAgain() throws {
        let bench = Bench(start)
        bench.at(0, .tick)
        let first = try #require(bench.beat)
        for name in ["a", "b"] { bench.at(0, .wanted(name)) }
        bench.at(0.1, .answered(beat: first, bench.report(owned: 0), busy: []))
        let claim = try #require(bench.claim)
        bench.at(0.2, .unwanted("a", isHandover: false))
        bench.at(0.3, .claimed(claim.number, bench.leases(["a", "b"])))
        bench.at(0.4, .wanted("a"))
        for time in [2.0, 4.0, 6.0] {
            bench.at(time, .tick)
            let beat = try #require(bench.beat)
            bench.at(time + 0.1, .answered(beat: beat, bench.report(owned: 2), busy: []))
            #expect(bench.actions.contains(.release(bench.leases(["a"]))), "it is repeated until it is answered")
            guard let claim = bench.claim else { continue }
            bench.at(time + 0.2, .claimed(claim.number, bench.leases(claim.names)))
            #expect(!bench.keeper.isHere("a"))
        }
        // What the store said before it was released comes late.
        bench.at(6.4, .released(bench.leases(["a"])))
        bench.at(6.5, .claimed(99, bench.leases(["a"])))
        #expect(!bench.keeper.isHere("a"))
        bench.at(8, .tick)
        let beat = try #require(bench.beat)
        bench.at(8.1, .answered(beat: beat, bench.report(owned: 1, unowned: 1), busy: []))
        let again = try #require(bench.claim)
        bench.at(8.2, .claimed(again.number, bench.leases(["a"], epoch: 2)))
        #expect(bench.keeper.isHere("a"))
    }

    @Test func anotherProcessOfTheSameNameIsNoticed() throws {
        let bench = try running(["a"])
        func report(_ time: Double, host: String, process: Int32, beat: Double) throws -> [LeaseKeeper.Action] {
            bench.at(time, .tick)
            let number = try #require(bench.beat)
            var report = bench.report(owned: 1)
            report.time = time
            let other = Member(id: "x", gateway: "gw-1", leaseSeconds: 8, host: host, processIdentifier: process)
            report.members.append(.init(member: other, owned: 0, secondsSinceBeat: beat))
            return bench.at(time + 0.1, .answered(beat: number, report, busy: []))
        }
        // Another instance of this process, then the process that was here before.
        _ = try report(2, host: "", process: 0, beat: 0.1)
        #expect(bench.keeper.namesakes.isEmpty)
        _ = try report(4, host: "h", process: 7, beat: 5)
        #expect(bench.keeper.namesakes.isEmpty)
        var notices = 0
        for time in [6.0, 8.0] {
            for case .notice(let text) in try report(time, host: "h", process: 7, beat: 1) {
                #expect(text.contains("process 7 on h calls itself gateway gw-1 too"))
                notices += 1
            }
        }
        #expect(notices == 1 && bench.keeper.namesakes == ["process 7 on h"])
        bench.at(10, .tick)
        let beat = try #require(bench.beat)
        bench.at(10.1, .answered(beat: beat, bench.report(owned: 1), busy: []))
        #expect(bench.keeper.namesakes.isEmpty)
    }

    @Test func sharesAreByWeightAndNobodyGetsMoreThanItWants() {
        func row(_ name: String, weight: Double, wanted: Int, owned: Int = 0, drains: Bool = false) -> ClusterReport.Row
        {
            .init(
                member: Member(id: name, gateway: name, weight: weight, wanted: wanted, isDraining: drains),
                owned: owned, secondsSinceBeat: 0)
        }
        let report = ClusterReport(
            members: [
                row("a", weight: 1, wanted: 300), row("b", weight: 2, wanted: 300, owned: 290),
                row("c", weight: 1, wanted: 10), row("d", weight: 1, wanted: 300, owned: 10, drains: true),
                row("e", weight: .nan, wanted: -5),
            ], accounts: 300, unowned: 0, time: 0)
        let shares = ClusterShares(report, unrun: 0).gateways
        #expect(shares["c"]?.share == 10)
        #expect(shares["a"]?.share == 97)
        #expect(shares["b"]?.share == 194)
        #expect(shares["d"]?.share == 0)
    }

    /// Whoever asks second would be left with what it hears of a beat later.
    @Test(arguments: [2, 3]) func thoseThatTakeOverAskForDifferentAccounts(_ count: Int) throws {
        let names = (10..<(count == 2 ? 70 : 60)).map { "a\($0)" }
        let gateways = (1...count).map { "gw-\($0)" }
        var asked: [[String]] = []
        for gateway in gateways {
            let bench = Bench(start, gateway: gateway)
            bench.at(0, .tick)
            let beat = try #require(bench.beat)
            for name in names { bench.at(0, .wanted(name)) }
            let others = gateways.filter { $0 != gateway }.map { ($0, 0) }
            bench.at(0.1, .answered(beat: beat, bench.report(owned: 0, others: others, unowned: names.count), busy: []))
            asked.append(try #require(bench.claim).names)
        }
        #expect(Set(asked.joined()) == Set(names), "nothing is left")
        // Sixty are divided by two without a rest; of fifty each of three is to have seventeen.
        #expect(asked.joined().count == (count == 2 ? 60 : 51))
    }

    /// Whoever asks second takes all that is left for it, though the report was made before the first had asked.
    @Test func whatAnotherTookSinceTheReportMakesNoShareSmaller() throws {
        func names(_ range: Range<Int>) -> [String] { range.map { "a\($0)" } }
        func run(_ range: Range<Int>, by gateway: String) -> [String: String] {
            Dictionary(uniqueKeysWithValues: names(range).map { ($0, gateway) })
        }
        let bench = Bench(start)
        bench.at(0, .tick)
        var beat = try #require(bench.beat)
        for name in names(10..<50) { bench.at(0, .wanted(name)) }
        var report = bench.report(owned: 0, others: [("gw-0", 20), ("gw-2", 10)], unowned: 10)
        bench.at(0.1, .answered(beat: beat, report, busy: []))
        let runners = run(10..<30, by: "gw-0").merging(run(30..<40, by: "gw-2")) { first, _ in first }
        bench.at(0.2, .runners(names(10..<50), runners, member: bench.keeper.member.id))
        let claim = try #require(bench.claim)
        #expect(claim.names == names(40..<50))
        bench.at(0.3, .claimed(claim.number, bench.leases(claim.names)))

        // gw-0 died, and gw-2 has taken half of what it had when it is asked who has it.
        bench.at(2, .tick)
        beat = try #require(bench.beat)
        report = bench.report(owned: 10, others: [("gw-2", 10)], unowned: 20)
        bench.at(2.1, .answered(beat: beat, report, busy: []))
        #expect(bench.actions.contains(.askRunners(names(10..<30))))
        bench.at(2.2, .runners(names(10..<30), run(10..<20, by: "gw-2"), member: bench.keeper.member.id))
        #expect(Set(try #require(bench.claim).names) == Set(names(20..<30)))
    }

    /// What ran here comes first all the same: nobody has to log in for it.
    @Test func whatRanHereIsAskedForFirst() throws {
        let names = (0..<8).map { "a\($0)" }
        let bench = try running(["a6"])
        for name in names where name != "a6" { bench.at(0.3, .wanted(name)) }
        bench.at(7, .tick)
        bench.at(7.1, .stopped("a6"))
        bench.at(9.5, .tick)
        let beat = try #require(bench.beat)
        bench.at(9.6, .answered(beat: beat, bench.report(owned: 0, others: [("gw-0", 0)], unowned: 8), busy: []))
        // The other one is short of four, and begins at the first.
        #expect(try #require(bench.claim).names == ["a6", "a4", "a5", "a7"])
    }

    @Test func theBeginningsOfThoseThatAreShortDivideWhatIsFree() {
        func row(_ name: String, wanted: Int, owned: Int = 0) -> ClusterReport.Row {
            .init(member: Member(id: name, gateway: name, wanted: wanted), owned: owned, secondsSinceBeat: 0)
        }
        let many = 1 << 40
        for short in [[5, 0, 7], [1, 1, 1, 1], [300, 2, 1, 99], [0, 0, 3]] {
            let names = short.indices.map { "gw-\($0)" }
            let rows = zip(names, short).map { row($0, wanted: $1) }
            let shares = ClusterShares(
                ClusterReport(members: rows, accounts: many, unowned: many, time: 0), unrun: many)
            #expect(names.map { shares.gateways[$0]?.deficit } == short)
            let sum = short.reduce(0, +)
            for count in [1, sum / 2, sum - 1, sum, sum + 1, 3 * sum] where count > 0 {
                var asked: [Int] = []
                for (name, most) in zip(names, short) {
                    let beginning = shares.beginning(of: name, among: count)
                    #expect((0..<count).contains(beginning))
                    asked += (0..<min(most, count)).map { (beginning + $0) % count }
                }
                if sum <= count { #expect(Set(asked).count == asked.count, "\(short) \(count)") }
                if sum >= count { #expect(Set(asked).count == count, "\(short) \(count)") }
            }
            #expect(shares.beginning(of: "gw-0", among: 0) == 0)
        }
        // What others write into the store.
        let rows = [row("a", wanted: .max, owned: .min), row("b", wanted: .max), row("c", wanted: -1, owned: .max)]
        let shares = ClusterShares(
            ClusterReport(members: rows, accounts: .max, unowned: .max, time: 0), unrun: .max)
        for name in ["a", "b", "c", "d"] {
            for count in [1, 1000, .max] { #expect((0..<count).contains(shares.beginning(of: name, among: count))) }
        }
    }
}

extension ContinuousClock.Instant {
    /// The same but for what fractions of seconds lose.
    fileprivate func isNear(_ other: Self) -> Bool { duration(to: other).magnitude < .microseconds(1) }
}

extension Duration {
    fileprivate var magnitude: Duration { self < .zero ? .zero - self : self }
}
