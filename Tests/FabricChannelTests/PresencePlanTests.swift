import Testing

@testable import FabricChannel

@Suite struct PresencePlanTests {
    private let start = ContinuousClock.now

    private func put(_ plan: inout PresencePlan) throws -> PresencePlan.Put {
        let next = plan.next(now: start)
        return try #require(next)
    }

    private func next(_ plan: inout PresencePlan, _ seconds: Int) -> PresencePlan.Put? {
        plan.next(now: start.advanced(by: .seconds(seconds)))
    }

    @Test func oneAtATimeAndEachGuildAtMostEveryHalfMinute() throws {
        var plan = PresencePlan()
        plan.connected("a")
        plan.connected("b")
        let later1 = plan.next(now: start)
        #expect(later1 == nil)
        plan.set(.idle)
        let first = try put(&plan)
        let later2 = plan.next(now: start)
        #expect(first == .init(guild: "a", state: .idle) && later2 == nil)
        plan.ended(first, isGood: true, now: start)
        let second = try put(&plan)
        #expect(second.guild == "b")
        plan.set(.working)
        plan.ended(second, isGood: true, now: start)
        let later3 = next(&plan, 29)
        #expect(later3 == nil)
        #expect(plan.due == start.advanced(by: .seconds(30)))
        // What changed and changed back in between is not told.
        plan.set(.idle)
        let later4 = next(&plan, 40)
        #expect(plan.due == nil && later4 == nil)
        plan.set(.busy)
        let later5 = next(&plan, 40)
        #expect(later5?.state == .busy)
    }

    @Test func aGuildThatFailsDoesNotHoldTheOthers() throws {
        var plan = PresencePlan()
        plan.connected("a")
        plan.connected("b")
        plan.set(.working)
        let first = try put(&plan)
        plan.ended(first, isGood: false, now: start)
        let other = try put(&plan)
        #expect(other.guild == "b")
        plan.ended(other, isGood: true, now: start)
        let later6 = next(&plan, 10)
        #expect(later6 == nil)
        let later7 = next(&plan, 30)
        #expect(later7?.guild == "a")
        // The one that failed may have heard it, for only its answer is missing.
        #expect(plan.farewells == ["a", "b"])
    }

    @Test func whoMayShowTheAgentIsToldThatItGoes() throws {
        var plan = PresencePlan()
        plan.connected("a")
        plan.connected("b")
        #expect(plan.farewells.isEmpty)
        plan.set(.working)
        let first = try put(&plan)
        // Its answer has not come.
        #expect(plan.farewells == ["a"])
        plan.ended(first, isGood: true, now: start)
        // What it was told is not known any more, and it cannot be told for half a minute.
        plan.connected("a")
        #expect(plan.farewells == ["a"])
        plan.set(.offline)
        let again = next(&plan, 30)
        #expect(again?.guild == "a" && plan.farewells == ["a"])
        plan.ended(try #require(again), isGood: true, now: start)
        #expect(plan.farewells.isEmpty)
        let other = next(&plan, 60)
        #expect(other == .init(guild: "b", state: .offline) && plan.farewells.isEmpty)
    }

    @Test func nothingIsSaidBehindTheFarewell() throws {
        var plan = PresencePlan()
        plan.connected("a")
        plan.set(.idle)
        let put = try put(&plan)
        plan.began(by: 7)
        plan.leave()
        #expect(plan.task == 7 && plan.farewells == ["a"])
        plan.set(.working)
        plan.ended(put, isGood: true, now: start)
        let later = next(&plan, 90)
        #expect(later == nil && plan.due == nil && plan.task == nil && plan.farewells == ["a"])
    }

    @Test func aGuildThatComesBackIsToldAgain() throws {
        var plan = PresencePlan()
        plan.connected("a")
        plan.set(.idle)
        let put = try put(&plan)
        plan.ended(put, isGood: true, now: start)
        plan.connected("a")
        let later8 = next(&plan, 30)
        #expect(later8 == put)
        plan.keep([])
        plan.ended(put, isGood: true, now: start)
        let later9 = next(&plan, 90)
        #expect(plan.farewells.isEmpty && later9 == nil)
    }
}
