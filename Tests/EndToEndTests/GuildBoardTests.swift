import FabricSimulator
import JSONBytes
import Locking
import Testing

@testable import FabricChannel

/// Who reaches a guild first tells the others that wait for it.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct GuildBoardTests {
    private final class Woken: Sendable {
        let names = Locked<[String]>([])
        func retry(_ name: String) -> @Sendable () -> Void {
            { self.names.withLock { $0.append(name) } }
        }
    }

    @Test func thoseWhoWaitAreWokenOnceAndOnlyForTheirGuild() {
        let (board, woken, now) = (GuildBoard(), Woken(), ContinuousClock.now)
        _ = board.wait("a", retry: woken.retry("first"))
        let second = board.wait("a", retry: woken.retry("second"))
        _ = board.wait("a", retry: woken.retry("third"))
        _ = board.wait("b", retry: woken.retry("elsewhere"))
        board.leave("a", second)
        for retry in board.reached("a", now: now) { retry() }
        #expect(Set(woken.names.withLock { $0 }) == ["first", "third"])
        #expect(board.reached("a", now: now).isEmpty, "once")
    }

    @Test func aGuildThatComesAndGoesIsNotHammered() {
        let (board, woken, now) = (GuildBoard(), Woken(), ContinuousClock.now)
        _ = board.wait("a", retry: woken.retry("first"))
        _ = board.wait("a", retry: woken.retry("second"))
        #expect(board.reached("a", now: now).count == 2)
        _ = board.wait("a", retry: woken.retry("third"))
        #expect(board.reached("a", now: now.advanced(by: .seconds(4))).isEmpty, "called a moment ago")
        #expect(board.reached("a", now: now.advanced(by: .seconds(6))).count == 1, "still there when it is time")
    }

    /// One has waited long and would wait on; the other comes new and gets through.
    @Test func aNewcomerBringsBackOneThatWaits() async throws {
        try await withWorld { world in
            let old = try await world.sim.createUser(name: "old")
            let new = try await world.sim.createUser(name: "new")
            let room = try await world.sim.createChannel(name: "room", members: [old.id, new.id])
            try await world.configure([:], accounts: ["old": old.apiKey, "new": new.apiKey])
            try await world.start("old")
            try await world.ready("old")
            try await world.sim.stopGuild(World.guild)
            // After the fifth attempt it waits for 8 to 16 s.
            try await world.status("five attempts", of: "old", timeout: .seconds(60)) {
                World.guild($0)?["reconnectAttempts"]?.int ?? 0 >= 5
            }
            try await world.sim.startGuild(World.guild)
            let back = ContinuousClock.now
            try await world.start("new")
            try await world.sim.waitForSockets(user: old.id, joined: room.id)
            let took = back.duration(to: .now)
            print("back \(took) after the guild was, by the word of another")
            #expect(took < .seconds(7.5), "by itself it would have waited for 8 s at least")
        }
    }
}
