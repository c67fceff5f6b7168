import Testing

@testable import SocketIO

/// xorshift, so that a schedule can be repeated by its seed.
struct SeededRandom: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}

struct SessionTests {
    let handshake: EngineHandshake
    var session = SocketSession(configuration: .init())
    var now = ContinuousClock.now
    var random = SeededRandom(7)

    init() throws {
        let json = Array(#"{"sid":"e","pingInterval":25000,"pingTimeout":20000}"#.utf8)
        var decoder = PacketDecoder()
        let opened = try (Array("0".utf8) + json).withUnsafeBytes { bytes -> EngineHandshake? in
            guard case .open(let handshake)? = try decoder.decode(text: bytes) else { return nil }
            return handshake
        }
        handshake = try #require(opened)
    }

    mutating func send(_ event: SocketSession.Event) -> [SocketSession.Action] {
        session.handle(event, now: now, random: &random)
    }

    mutating func wait(_ seconds: Double) { now = now.advanced(by: .seconds(seconds)) }

    /// From waiting or idle to connected; gives the CONNECT payload that was sent.
    mutating func connect(_ payload: [UInt8]? = nil, sid: String = "s", pid: String? = nil) throws -> [UInt8]? {
        var actions: [SocketSession.Action]
        if let deadline = session.deadline {
            now = deadline
            actions = send(.deadline(lastActivity: nil))
        } else {
            actions = send(.connect)
        }
        guard case .authenticate(let attempt, _)? = actions.last else { throw NothingCame() }
        #expect(send(.authenticated(attempt: attempt, payload: payload)) == [.openTransport])
        #expect(send(.transportOpened) == [])
        guard case .sendConnect(let sent)? = send(.opened(handshake)).first else { throw NothingCame() }
        let reports = send(.joined(socketID: sid, recoveryID: pid))
        guard case .report(.connected(sid, _))? = reports.first else { throw NothingCame() }
        return sent
    }

    @Test mutating func aWholeLife() throws {
        #expect(session.state == .idle)
        #expect(send(.connect) == [.report(.connecting(attempt: 1)), .authenticate(attempt: 1, failures: 0)])
        #expect(send(.connect) == [])
        #expect(send(.authenticated(attempt: 1, payload: [1])) == [.openTransport])
        #expect(send(.transportOpened) == [])
        #expect(send(.opened(handshake)) == [.sendConnect(payload: [1])])
        #expect(
            send(.joined(socketID: "s", recoveryID: nil)) == [.report(.connected(socketID: "s", recovered: false))])
        #expect(session.isConnected)
        #expect(send(.disconnect) == [.closeTransport])
        let end = SocketIOState.disconnected(.clientRequested, retryIn: nil)
        #expect(
            send(.transportEnded(.transportClosed(code: 1000, reason: "")))
                == [.dropTransport(gracefully: false, .clientRequested), .report(end), .finish])
        #expect(send(.connect) == [])
        #expect(send(.disconnect) == [])
        #expect(send(.loopShutDown) == [])
    }

    @Test mutating func aCloseThatIsNeverAnswered() throws {
        _ = try connect()
        #expect(send(.disconnect) == [.closeTransport])
        wait(3)
        #expect(send(.deadline(lastActivity: nil)).last == .finish)
    }

    @Test mutating func everyAttemptAsksAnew() throws {
        #expect(try connect([1]) == [1])
        let lost = send(.lost(.serverDisconnected))
        #expect(lost.first == .dropTransport(gracefully: true, .serverDisconnected))
        guard case .report(.disconnected(.serverDisconnected, let retry?))? = lost.last else { throw NothingCame() }
        #expect(retry > .zero)
        #expect(try connect([2]) == [2])
        #expect(send(.lost(.refused(message: "no", data: nil))).count == 2)
        #expect(try connect([3]) == [3])
        // The transport fails: what was prepared for it is gone.
        _ = send(.transportEnded(.transportClosed(code: nil, reason: "")))
        now = try #require(session.deadline)
        #expect(send(.deadline(lastActivity: nil)).last == .authenticate(attempt: 4, failures: 3))
        _ = send(.authenticated(attempt: 4, payload: [4]))
        _ = send(.transportEnded(.timedOut(.connect)))
        #expect(try connect(nil) == nil)
    }

    @Test mutating func lateAnswersOfAuthAreIgnored() throws {
        _ = send(.connect)
        wait(60)
        let late = send(.deadline(lastActivity: nil))
        #expect(late.first == .cancelAuthentication)
        #expect(send(.authenticated(attempt: 1, payload: [1])) == [])
        now = try #require(session.deadline)
        #expect(send(.deadline(lastActivity: nil)).last == .authenticate(attempt: 2, failures: 1))
        #expect(send(.authenticated(attempt: 1, payload: [1])) == [])
        #expect(send(.authenticationFailed(attempt: 1, "x")) == [])
        #expect(send(.authenticated(attempt: 2, payload: [2])) == [.openTransport])
    }

    @Test mutating func backoffBeginsAnewOnlyAfterAUsefulConnection() throws {
        for failures in 1...5 {
            _ = try connect()
            wait(29)
            _ = send(.lost(.serverDisconnected))
            #expect(session.backoff.failures == failures)
        }
        _ = try connect()
        wait(30)
        _ = send(.lost(.serverDisconnected))
        #expect(session.backoff.failures == 1)
    }

    @Test mutating func silenceIsDeathAndAnyMessageIsLife() throws {
        _ = try connect()
        let start = now
        wait(44)
        #expect(send(.deadline(lastActivity: start)) == [])
        wait(1)
        let heardAt = start.advanced(by: .seconds(30))
        #expect(send(.deadline(lastActivity: heardAt)) == [])
        #expect(session.deadline == heardAt.advanced(by: .seconds(45)))
        now = heardAt.advanced(by: .seconds(45))
        let actions = send(.deadline(lastActivity: heardAt))
        #expect(actions.first == .dropTransport(gracefully: false, .pingTimeout))
        guard case .report(.disconnected(.pingTimeout, _))? = actions.last else { throw NothingCame() }
    }

    @Test mutating func packetsAtTheWrongTime() throws {
        _ = try connect()
        guard case .disconnected(.unexpectedPacket, _) = report(send(.opened(handshake))) else { throw NothingCame() }
        _ = try connect()
        let second = report(send(.joined(socketID: "t", recoveryID: nil)))
        guard case .disconnected(.unexpectedPacket, _) = second else { throw NothingCame() }
        #expect(send(.joined(socketID: "t", recoveryID: nil)) == [])
        #expect(send(.lost(.serverDisconnected)) == [])
        #expect(send(.transportOpened) == [])
    }

    private func report(_ actions: [SocketSession.Action]) -> SocketIOState? {
        guard case .report(let state)? = actions.last else { return nil }
        return state
    }

    @Test mutating func recovery() throws {
        let token = Array(#"{"token":"t"}"#.utf8)
        #expect(try connect(token, pid: "p1") == token)
        _ = send(.lost(.pingTimeout))
        // Nothing was received yet: nothing to recover from.
        #expect(try connect(token, pid: "p2") == token)
        Array("o1".utf8).withUnsafeBytes { session.noteOffset($0) }
        _ = send(.lost(.pingTimeout))
        let sent = try #require(try connect(token, pid: "p2"))
        #expect(String(decoding: sent, as: UTF8.self) == #"{"pid":"p2","offset":"o1","token":"t"}"#)
        #expect(session.state == .connected(socketID: "s", recovered: true))
        _ = send(.lost(.pingTimeout))
        // The offset is kept over a recovered connection, and lost with the session.
        #expect(
            try connect(nil, pid: "p3").map { String(decoding: $0, as: UTF8.self) } == #"{"pid":"p2","offset":"o1"}"#)
        #expect(session.state == .connected(socketID: "s", recovered: false))
        _ = send(.lost(.pingTimeout))
        #expect(try connect(nil) == nil)
    }

    @Test mutating func withoutReconnects() throws {
        var configuration = SocketSession.Configuration()
        configuration.reconnects = false
        session = SocketSession(configuration: configuration)
        _ = try connect()
        let actions = send(.lost(.pingTimeout))
        #expect(actions.suffix(2) == [.report(.disconnected(.pingTimeout, retryIn: nil)), .finish])
        #expect(session.isFinished)
    }

    /// Whatever happens in whatever order: one transport at a time, one auth at a time, a report for every change,
    /// silence after the end, a deadline in every state that waits for others.
    @Test(arguments: 0..<20) mutating func randomSchedules(_ block: Int) throws {
        for seed in 0..<500 { try runSchedule(UInt64(block * 500 + seed + 1)) }
    }

    private mutating func runSchedule(_ seed: UInt64) throws {
        var dice = SeededRandom(seed)
        session = SocketSession(configuration: .init())
        var hasTransport = false
        var isClosing = false
        var lastAttempt: UInt64 = 0
        var isAsking = false
        var isFinished = false
        var lastPayload: [UInt8]?
        for step in 0..<120 {
            wait(Double(dice.next() % 2000) / 1000)
            let event: SocketSession.Event
            switch dice.next() % 16 {
            case 0, 1: event = .connect
            case 2 where dice.next() % 8 == 0: event = .disconnect
            case 3 where dice.next() % 4 == 0: event = .reconnect(reason: "r")
            case 4, 5, 6:
                let payload = [UInt8(step)]
                event = .authenticated(attempt: lastAttempt &- dice.next() % 2, payload: payload)
            case 7: event = .authenticationFailed(attempt: lastAttempt &- dice.next() % 2, "x")
            case 8, 9:
                guard hasTransport else { continue }
                event = .transportOpened
            case 10, 11:
                guard hasTransport else { continue }
                event = .opened(handshake)
            case 12, 13:
                guard hasTransport else { continue }
                event = .joined(socketID: "s\(step)", recoveryID: dice.next() % 2 == 0 ? "p" : nil)
            case 14:
                guard hasTransport else { continue }
                if dice.next() % 2 == 0 { hasTransport = false }
                event =
                    hasTransport ? .lost(.serverDisconnected) : .transportEnded(.transportClosed(code: nil, reason: ""))
            default:
                if let deadline = session.deadline, dice.next() % 2 == 0 { now = max(now, deadline) }
                event = .deadline(lastActivity: nil)
            }
            if case .authenticated(lastAttempt, let payload) = event, isAsking { lastPayload = payload }
            let before = session.state
            let actions = send(event)
            if isFinished { try #require(actions.isEmpty, "seed \(seed): alive after the end") }
            for action in actions {
                switch action {
                case .authenticate(let attempt, _):
                    try #require(!isAsking && !hasTransport && attempt == lastAttempt + 1, "seed \(seed)")
                    lastAttempt = attempt
                    isAsking = true
                    lastPayload = nil
                case .cancelAuthentication:
                    try #require(isAsking, "seed \(seed)")
                    isAsking = false
                case .openTransport:
                    try #require(isAsking && !hasTransport, "seed \(seed)")
                    isAsking = false
                    hasTransport = true
                case .sendConnect(let payload):
                    // Only ever the payload of this attempt.
                    if session.recovery.id == nil { try #require(payload == lastPayload, "seed \(seed)") }
                    try #require(hasTransport && !isClosing, "seed \(seed)")
                case .dropTransport: hasTransport = false
                case .closeTransport: isClosing = true
                case .report(let state):
                    try #require(state == session.state && state != before, "seed \(seed)")
                    if case .disconnected = state { try #require(!hasTransport, "seed \(seed)") }
                case .finish: isFinished = true
                }
            }
            if isAsking || isClosing || session.isConnected || session.isJoining, !isFinished {
                try #require(session.deadline != nil, "seed \(seed)")
            }
            if case .disconnected(_, .some) = session.state, !isClosing {
                try #require(session.deadline != nil, "seed \(seed): nobody tries again")
            }
        }
    }
}
