import Foundation
import GatewayControl
import JSONBytes
import Locking
import Testing

@testable import GatewayHost

@Suite struct AccountSlotsTests {
    /// A gateway whose module moves the account “w” only when told to.
    struct Halfway {
        let bench: TestBench
        let go: String

        init() async throws {
            let scratch = try Scratch()
            go = scratch.path + "/go"
            bench = try TestBench(accounts: ["a": "1", "w": "w" + go], scratch: scratch)
            try await bench.start()
            for account in ["a", "w"] {
                try await eventually("\(account) runs") { await bench.account(account)["running"]?.bool == true }
            }
        }

        /// Reloads the module; what `body` begins meets it halfway: “a” is on the new instance, “w” is on its way.
        func meet<T: Sendable>(_ body: @escaping @Sendable (Gateway) async throws -> T) async throws -> T {
            let gateway = bench.gateway
            async let reloaded = gateway.reload(module: true)
            try await eventually("a is on the new one, w on its way") {
                guard let slots = await gateway.plugins["test"]?.slots, let present = slots.present else {
                    return false
                }
                return present.generation.number == 2 && slots.module(for: "a") === present
                    && slots.module(for: "w") !== present && slots.isClosed("w") && !slots.isClosed("a")
            }
            let ended = Locked(false)
            let task = Task {
                defer { ended.withLock { $0 = true } }
                return try await body(gateway)
            }
            // It must wait, not fail: give it every chance to.
            for _ in 0..<200 { await Task.yield() }
            #expect(!ended.withLock { $0 }, "it did not wait for the account")
            _ = FileManager.default.createFile(atPath: go, contents: nil)
            _ = try await reloaded
            return try await task.value
        }
    }

    @Test func aCommandAboutAnAccountThatMovesWaitsForIt() async throws {
        let halfway = try await Halfway()
        let letters = try await halfway.meet {
            try await $0.command("deadLetters.list", channel: nil, ["accountId": "w"])["deadLetters"]?.array?.count
        }
        #expect(letters == 1)
        await halfway.bench.gateway.stop()
    }

    @Test func aCommandAboutAllDeadLettersMissesNoAccount() async throws {
        let halfway = try await Halfway()
        let letters = try await halfway.meet {
            try await $0.command("deadLetters.list", channel: nil, [:])["deadLetters"]?.array?
                .compactMap { $0["id"]?.string }
        }
        #expect(letters?.sorted() == ["L-a", "L-w"])
        #expect(try await halfway.bench.journal().contains("start+handover w"))
        await halfway.bench.gateway.stop()
    }

    @Test func aDeadLetterIsFoundOnWhicheverInstanceHasIt() async throws {
        let halfway = try await Halfway()
        _ = try await halfway.meet { try await $0.command("deadLetters.drop", channel: nil, ["id": "L-w"]) }
        #expect(try await halfway.bench.journal().contains("drop L-w"))
        let error = await #expect(throws: GatewayError.self) {
            try await halfway.bench.gateway.command("deadLetters.drop", channel: nil, ["id": "L-nobody"])
        }
        #expect(error?.problem == "there is no such dead letter")
        await halfway.bench.gateway.stop()
    }

    @Test func slotsGoWhenNothingIsInThem() async throws {
        let slots = AccountSlots()
        #expect(await slots.use("a") { _ in true } == nil, "nothing serves it yet")
        slots.describe(["a": [:], "b": [:]])
        slots.reporting("c", .init(generation: ModuleGeneration(1), number: 7))
        slots.report("c", ["n": 1], from: ModuleGeneration(1))
        slots.report("c", ["n": 2], from: ModuleGeneration(1))
        slots.report("c", ["n": 3], from: ModuleGeneration(2))
        #expect(slots.run(of: "c", on: ModuleGeneration(2)) == nil)
        let reports = slots.takeReports()
        #expect(reports.map(\.account) == ["c"] && reports.first?.status == ["n": 2] && reports.first?.run == 7)
        #expect(slots.takeReports().isEmpty)
        slots.strand("d", run: 9)
        #expect(slots.takeStranded().map(\.run) == [9])
        slots.append("e") { previous in Task { await previous?.value } }
        await slots.settled("e")
        slots.finished("e")
        slots.reporting("c", nil)
        slots.describe(["b": [:]])
        #expect(slots.accounts == ["b"])
    }

    @Test func operationsOfOneAccountRunOneAfterTheOther() async throws {
        let slots = AccountSlots()
        let order = Locked<[Int]>([])
        for index in 0..<50 {
            slots.append("a") { previous in
                Task {
                    await previous?.value
                    for _ in 0..<(index % 3) { await Task.yield() }
                    order.withLock { $0.append(index) }
                    slots.finished("a")
                }
            }
        }
        await slots.settled("a")
        #expect(order.withLock { $0 } == Array(0..<50))
        #expect(slots.accounts.isEmpty)
    }
}
