import Testing

@testable import SocketIO

/// Clients that are started, dropped and ended at any moment: whatever the library is doing just then.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ChurnTests {
    /// Tells when nothing is left on the loop: no socket, no client, no timer.
    static func look(_ loop: RealtimeLoop, _ emptied: Mailbox<Bool>) {
        loop.execute {
            guard let state = loop.confined else { return }
            if state.sockets.isEmpty, state.closers.isEmpty, state.timers.count == 0 { return emptied.put(true) }
            loop.schedule(after: .milliseconds(20)) { look(loop, emptied) }
        }
    }

    @Test(arguments: ["plain", "fast", "shutdown"]) func churn(_ kind: String) async throws {
        let server = try await Server("conformance.py")
        for round in 0..<4 as Range<UInt64> {
            let loop = try RealtimeLoop()
            let recorder = Recorder { _, event in
                if event.isNamed("question") { try? event.acknowledge(["yes"]) }
            }
            var configuration = try SocketIOClient.Configuration(url: "http://localhost:\(server.port)")
            configuration.backoff.initial = .milliseconds(1)
            configuration.backoff.maximum = .milliseconds(5)
            if kind == "fast" {
                // Shorter than the server needs: every step is cut off now and then.
                configuration.timeouts.upgrade = .milliseconds(4)
                configuration.timeouts.open = .milliseconds(2)
                configuration.timeouts.namespace = .milliseconds(2)
            }
            let clients = (0..<40).map { _ in
                SocketIOClient(configuration: configuration, loop: loop, delegate: recorder)
            }
            for client in clients { await client.connect() }
            await withTaskGroup(of: Void.self) { group in
                for worker in 0..<4 as Range<UInt64> {
                    group.addTask {
                        var dice = SeededRandom(round * 4 + worker + 1)
                        for _ in 0..<300 {
                            guard let client = clients.randomElement(using: &dice) else { return }
                            switch dice.next() % 8 {
                            case 0: await client.reconnect(reason: "churn")
                            case 1 where dice.next() % 16 == 0: await client.disconnect()
                            case 2: await client.connect()
                            case 3: _ = try? await client.emit("answer", [.binary([1])], ackTimeout: .milliseconds(20))
                            case 4: try? await client.emit("question", ["?"])
                            case 5: try? await client.emit("leave")
                            default: try? await client.emit("echo", [.string(String(repeating: "x", count: 10_000))])
                            }
                        }
                    }
                }
            }
            if kind == "shutdown" {
                loop.shutdown()
                for client in clients {
                    guard case .disconnected(_, retryIn: nil) = await client.state else {
                        Issue.record("a client outlived its loop")
                        continue
                    }
                }
            } else {
                for client in clients { await client.disconnect() }
                // Every client says its last word once.
                for _ in clients {
                    _ = try await recorder.heard.first { heard -> Bool? in
                        guard case .state(.disconnected(.clientRequested, retryIn: nil)) = heard else { return nil }
                        return true
                    }
                }
                let emptied = Mailbox<Bool>()
                Self.look(loop, emptied)
                #expect(try await emptied.next())
                loop.shutdown()
            }
        }
        // A thread that resolves a name outlives the client that asked, but not the look-up.
        let end = ContinuousClock.now.advanced(by: .seconds(60))
        while try LoopTests.threads().contains("resolve"), ContinuousClock.now < end {
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(try !LoopTests.threads().contains("resolve"))
    }
}
