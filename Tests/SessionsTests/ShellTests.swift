import FabricAPI
import Foundation
import Locking
import Testing

@testable import Sessions

/// Time that passes only when a test says so.
final class ManualClock: Sendable {
    struct State {
        var now = ContinuousClock.Instant.now
        var sleepers: [UInt64: (until: ContinuousClock.Instant, continuation: CheckedContinuation<Void, Never>)] = [:]
        var lastNumber: UInt64 = 0
    }

    let state = Locked(State())

    var clock: SessionClock {
        SessionClock(now: { self.state.withLock { $0.now } }, wall: { 1_000_000 }, sleep: { try await self.sleep($0) })
    }

    func sleep(_ until: ContinuousClock.Instant) async throws {
        let number = state.withLock { state in
            state.lastNumber += 1
            return state.lastNumber
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if until <= state.now || Task.isCancelled { return true }
                    state.sleepers[number] = (until, continuation)
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.sleepers.removeValue(forKey: number) }?.continuation.resume()
        }
        try Task.checkCancellation()
    }

    func advance(_ duration: Duration) {
        let due = state.withLock { state in
            state.now = state.now.advanced(by: duration)
            let due = state.sleepers.filter { $0.value.until <= state.now }
            for number in due.keys { state.sleepers[number] = nil }
            return due.values.map(\.continuation)
        }
        for continuation in due { continuation.resume() }
    }
}

/// A Center in the test's hand: it hears of each login and says when and how it ends.
final class ManualCenter: Sendable {
    struct Login: Sendable {
        let agent: String
        let number: Int
        let answer: @Sendable (Result<FabricSession, any Error>) -> Void
    }

    let logins: AsyncStream<Login>
    private let feed: AsyncStream<Login>.Continuation
    private let count = Locked(0)

    init() { (logins, feed) = AsyncStream.makeStream(of: Login.self) }

    func login(_ agent: String) async throws -> FabricSession {
        let number = count.withLock { count in
            count += 1
            return count
        }
        let (reply, answer) = AsyncStream.makeStream(of: Result<FabricSession, any Error>.self)
        feed.yield(Login(agent: agent, number: number) { answer.yield($0) })
        for await result in reply { return try result.get() }
        throw CancellationError()
    }
}

/// Waits for what another task is about to do; the deadline only ends a broken test.
func eventually(_ what: String, _ condition: () -> Bool) async {
    let deadline = ContinuousClock.now.advanced(by: .seconds(20))
    while !condition() {
        guard ContinuousClock.now < deadline else {
            Issue.record("never: \(what)")
            return
        }
        await Task.yield()
    }
}

@Suite(.timeLimit(.minutes(5))) struct ShellTests {
    let clock = ManualClock()
    let center = ManualCenter()

    func make(_ configuration: Sessions.Configuration = .init()) -> Sessions {
        let center = center
        return Sessions(
            configuration: configuration, clock: clock.clock, random: { 0.5 }, login: { try await center.login($0) })
    }

    @Test func hundredConcurrentCallersOneLogin() async throws {
        let sessions = make()
        var logins = center.logins.makeAsyncIterator()
        let callers = (0..<100).map { _ in Task { try await sessions.guildToken(for: "a", guild: "g1").token } }
        let login = try #require(await logins.next())
        await eventually("everybody waits") { sessions.statistics.coalesced == 99 }
        callers[3].cancel()
        await #expect(throws: SessionError.self) { try await callers[3].value }
        login.answer(.success(answer("a")))
        var tokens: Set<String> = []
        for (number, caller) in callers.enumerated() where number != 3 { tokens.insert(try await caller.value) }
        #expect(tokens.count == 1 && sessions.statistics.logins == 1)
        #expect(sessions.cachedGuildToken(for: "a", guild: "g1")?.token == tokens.first)
        #expect(sessions.cachedGuildToken(for: "a", guild: "g2") == nil)
        #expect(sessions.cachedGuildToken(for: "b", guild: "g1") == nil)
        await sessions.shutdown()
    }

    @Test func cancelledBeforeItAsks() async throws {
        let sessions = make()
        let caller = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await sessions.session(for: "a").agent
        }
        await #expect(throws: SessionError.self) { try await caller.value }
        #expect(sessions.statistics.logins == 0)
        await sessions.shutdown()
    }

    @Test func renewsAheadOfTimeAndTells() async throws {
        let sessions = make()
        var logins = center.logins.makeAsyncIterator()
        let (updates, told) = AsyncStream.makeStream(of: SessionUpdate.self)
        let listening = sessions.listen(to: "a") { told.yield($0) }
        var news = updates.makeAsyncIterator()
        let subscription = sessions.subscribe("a")
        let caller = Task { try await sessions.session(for: "a").fabric.accessToken }
        try #require(await logins.next()).answer(.success(answer("a", number: 1)))
        let first = try await caller.value
        if case .renewed = await news.next() {} else { Issue.record("no news") }
        for number in 2...4 {
            clock.advance(.seconds(481))
            try #require(await logins.next()).answer(.success(answer("a", number: number)))
            if case .renewed(let session) = await news.next() {
                #expect(session.fabric.accessToken != first)
            } else {
                Issue.record("no news")
            }
        }
        #expect(sessions.statistics.inUse == 1 && sessions.statistics.valid == 1)
        subscription.cancel()
        subscription.cancel()
        #expect(sessions.cachedGuildToken(for: "a", guild: "g1") == nil)
        #expect(sessions.statistics.total == 0)
        await sessions.shutdown()
        listening.cancel()
    }

    @Test func aDroppedSubscriptionEnds() async throws {
        let sessions = make()
        do { _ = sessions.subscribe("a") }
        #expect(sessions.statistics.total == 0)
        await sessions.shutdown()
    }

    @Test func errorsAreJudged() async throws {
        let sessions = make()
        var logins = center.logins.makeAsyncIterator()
        let kinds: [(any Error, Bool)] = [
            (
                FabricError(
                    kind: .refused(status: 401), operation: "login", place: "center", remedy: "bind again",
                    speaksOfCredential: true), true
            ),
            (
                FabricError(kind: .passing(status: 503, retryAfter: .seconds(9)), operation: "", place: "", remedy: ""),
                false
            ),
            (FabricError(kind: .malformed, operation: "", place: "", remedy: ""), false),
            (
                FabricError(
                    kind: .rejected(status: 400, code: nil), operation: "", place: "", remedy: "",
                    speaksOfCredential: true), true
            ), (FabricError(kind: .rejected(status: 400, code: nil), operation: "", place: "", remedy: ""), false),
            (FabricError(kind: .refused(status: 401), operation: "", place: "", remedy: ""), false),
            (FabricError(kind: .refused(status: 403), operation: "", place: "", remedy: ""), false),
            (FabricError(kind: .rejected(status: 404, code: nil), operation: "", place: "", remedy: ""), false),
            (LoginFailure.refused(reason: "the key's file is missing"), true), (CancellationError(), false),
        ]
        for (number, (error, isBlocked)) in kinds.enumerated() {
            let caller = Task { try await sessions.session(for: "agent \(number)").agent }
            try #require(await logins.next()).answer(.failure(error))
            do {
                _ = try await caller.value
                Issue.record("no error")
            } catch let error as SessionError {
                #expect((error.kind == .blocked) == isBlocked)
                if number == 1 { #expect(error.kind == .unavailable(retryIn: .seconds(9))) }
                if number == 0 { #expect(error.description.contains("bind again")) }
            }
        }
        await sessions.shutdown()
    }

    @Test func shutdownEndsEverything() async throws {
        let sessions = make(.init(concurrentLogins: 2))
        var logins = center.logins.makeAsyncIterator()
        let callers = (0..<5).map { number in Task { try await sessions.session(for: "agent \(number)").agent } }
        _ = await logins.next()
        _ = await logins.next()
        let subscription = sessions.subscribe("agent 0")
        await eventually("all wait") { sessions.state.withLock { $0.waiting.count } == 5 }
        await sessions.shutdown()
        for caller in callers { await #expect(throws: SessionError.self) { try await caller.value } }
        #expect(sessions.state.withLock { $0.tasks.isEmpty && $0.waiting.isEmpty })
        await #expect(throws: SessionError.self) { try await sessions.session(for: "later") }
        sessions.invalidate("agent 0", ifTokenIs: "x")
        subscription.cancel()
        await sessions.shutdown()
        #expect(sessions.state.withLock { $0.tasks.isEmpty })
    }

    @Test func handOverLogsNobodyIn() async throws {
        let old = make()
        let new = make()
        var logins = center.logins.makeAsyncIterator()
        let caller = Task { try await old.session(for: "a").agent }
        try #require(await logins.next()).answer(.success(answer("a", guilds: ["g1", "g2"])))
        _ = try await caller.value
        let snapshot = try #require(old.export("a"))
        #expect(old.export("b") == nil)
        let carried = try JSONDecoder().decode(SessionSnapshot.self, from: JSONEncoder().encode(snapshot))
        new.importSnapshot("b", carried)
        #expect(new.statistics.total == 0)
        new.importSnapshot("a", carried)
        let token = try await new.guildToken(for: "a", guild: "g2")
        #expect(token.token == old.cachedGuildToken(for: "a", guild: "g2")?.token && token.endpoint == "http://g2")
        #expect(new.statistics.logins == 0)
        await old.shutdown()
        await new.shutdown()
    }

    @Test func secretsStayInside() async throws {
        let sessions = make()
        var logins = center.logins.makeAsyncIterator()
        let fabric = answer("a")
        let caller = Task { try await sessions.session(for: "a") }
        try #require(await logins.next()).answer(.success(fabric))
        let session = try await caller.value
        let token = try #require(session.token(for: "g1"))
        let snapshot = try #require(sessions.export("a"))
        var text = "\(session) \(token) \(snapshot) \(String(reflecting: session)) \(String(reflecting: token))"
        dump(session, to: &text)
        dump(token, to: &text)
        dump(snapshot, to: &text)
        #expect(!text.contains(token.token) && !text.contains(fabric.accessToken))
        await sessions.shutdown()
    }

    @Test func manyThreadsAtOnce() async throws {
        var configuration = Sessions.Configuration(softLifetime: .milliseconds(3), concurrentLogins: 3)
        configuration.backoff = .microseconds(10) ... .milliseconds(1)
        configuration.lostGuildRetry = .milliseconds(1)
        configuration.sweepPeriod = .milliseconds(5)
        let sessions = Sessions(configuration: configuration) { agent in
            await Task.yield()
            if Int.random(in: 0..<4) == 0 {
                throw FabricError(kind: .passing(status: nil, retryAfter: nil), operation: "", place: "", remedy: "")
            }
            return answer(agent, number: .random(in: 0...1_000_000), lifetime: nil)
        }
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<16 {
                group.addTask {
                    var dice = Dice(state: UInt64(worker))
                    for _ in 0..<300 {
                        let agent = "agent \(Int.random(in: 0..<6, using: &dice))"
                        switch Int.random(in: 0..<7, using: &dice) {
                        case 0: _ = try? await sessions.session(for: agent)
                        case 1: _ = try? await sessions.guildToken(for: agent, guild: "g1")
                        case 2:
                            if let token = sessions.cachedGuildToken(for: agent, guild: "g1") {
                                sessions.invalidate(agent, ifTokenIs: token.token)
                            }
                        case 3: sessions.subscribe(agent).cancel()
                        case 4: sessions.credentialsChanged(agent)
                        case 5:
                            let caller = Task { try await sessions.session(for: agent).agent }
                            caller.cancel()
                            _ = try? await caller.value
                        default: _ = sessions.statistics
                        }
                    }
                }
            }
        }
        await sessions.shutdown()
        #expect(sessions.state.withLock { $0.tasks.isEmpty && $0.waiting.isEmpty })
        #expect(sessions.quick.count == 0)
    }
}
