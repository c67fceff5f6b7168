import Foundation
import Testing

@testable import SocketIO

/// Clients that are ended from inside their own handlers, with more messages behind in the same read; and what they held
/// is let go of.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct TeardownTests {
    /// Calls a closure when it goes, on whatever thread that is.
    private final class Ending: SocketIODelegate {
        let onEvent: @Sendable (SocketIOClient, borrowing SocketIOEvent) -> Void
        let onState: @Sendable (SocketIOState) -> Void
        let onEnd: @Sendable () -> Void

        init(
            onEvent: @escaping @Sendable (SocketIOClient, borrowing SocketIOEvent) -> Void = { _, _ in },
            onState: @escaping @Sendable (SocketIOState) -> Void = { _ in }, onEnd: @escaping @Sendable () -> Void
        ) {
            self.onEvent = onEvent
            self.onState = onState
            self.onEnd = onEnd
        }

        func socketIO(_ client: SocketIOClient, received event: borrowing SocketIOEvent) { onEvent(client, event) }
        func socketIO(_ client: SocketIOClient, changed state: SocketIOState) { onState(state) }

        deinit { onEnd() }
    }

    private func frames(_ texts: [String]) -> String {
        texts.map { text in
            ([0x81, UInt8(text.utf8.count)] + Array(text.utf8)).map { byte in
                (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }.joined()
        }.joined()
    }

    @Test(arguments: ["disconnect", "reconnect", "shutdown"])
    func endedInsideItsHandlerWithMoreInTheSameRead(_ how: String) async throws {
        let server = try await Server("raw.py", ["wire", frames(["421[\"a\",1]", "42[\"b\",2]", "42[\"c\",3]"])])
        let loop = try RealtimeLoop()
        defer { loop.shutdown() }
        let heard = Mailbox<String>()
        let gone = Mailbox<Bool>()
        var configuration = try SocketIOClient.Configuration(url: "http://127.0.0.1:\(server.port)")
        configuration.backoff.initial = .seconds(600)
        configuration.backoff.maximum = .seconds(600)
        // Nobody here holds the client or its delegate: only the loop does.
        await SocketIOClient(
            configuration: configuration, loop: loop,
            delegate: Ending(
                onEvent: { client, event in
                    switch how {
                    case "disconnect": client.assumeIsolated { $0.disconnect() }
                    case "reconnect":
                        client.assumeIsolated {
                            $0.reconnect(reason: "test")
                            // Waiting for its next attempt, and so finished at once.
                            $0.disconnect()
                        }
                    default: client.loop.shutdown()
                    }
                    // All of it is still there.
                    try? event.acknowledge([1])
                    _ = event.acknowledgement
                    heard.put("\(event.name.string ?? "") \(event.argument(0)?.int64 ?? 0)")
                },
                onState: { if case .disconnected(let why, retryIn: nil) = $0 { heard.put("\(why)") } },
                onEnd: { gone.put(true) })
        ).connect()
        #expect(try await gone.next())
        let words = heard.waiting
        if how == "shutdown" {
            // The read is finished; the end comes after it.
            #expect(words == ["a 1", "b 2", "c 3", "\(SocketIODisconnect.loopShutDown)"])
        } else {
            #expect(Set(words) == ["a 1", "\(SocketIODisconnect.clientRequested)"])
            #expect(words.count == 2)
        }
    }

    /// One that is finished while nothing else happens on the loop is not held until something does.
    @Test func aFinishedClientIsLetGoByAnIdleLoop() async throws {
        let loop = try RealtimeLoop()
        defer { loop.shutdown() }
        let gone = Mailbox<Bool>()
        var configuration = try SocketIOClient.Configuration(url: "http://127.0.0.1:1")
        configuration.backoff.initial = .seconds(600)
        configuration.backoff.maximum = .seconds(600)
        let states = Mailbox<SocketIOState>()
        let connectAndLeave = { [configuration] in
            let delegate = Ending(onState: { states.put($0) }, onEnd: { gone.put(true) })
            let client = SocketIOClient(configuration: configuration, loop: loop, delegate: delegate)
            await client.connect()
            _ = try await states.first { state -> Bool? in
                if case .disconnected = state { true } else { nil }
            }
            await client.disconnect()
        }
        try await connectAndLeave()
        #expect(try await gone.next(within: .seconds(20)))
    }

    /// What goes with a client may end another one.
    @Test func aDelegateThatGoesEndsAnother() async throws {
        let loop = try RealtimeLoop()
        defer { loop.shutdown() }
        let ended = Mailbox<String>()
        let goOn = DispatchSemaphore(value: 0)
        let configuration = try SocketIOClient.Configuration(url: "http://127.0.0.1:1")
        let second = SocketIOClient(
            configuration: configuration, loop: loop, delegate: Ending(onEnd: { ended.put("second") }))
        await second.connect()
        let endFirst = {
            let delegate = Ending(onEnd: {
                if loop.isOnLoop { second.assumeIsolated { $0.disconnect() } }
                ended.put(loop.isOnLoop ? "first, on the loop" : "first")
            })
            let first = SocketIOClient(configuration: configuration, loop: loop, delegate: delegate)
            await first.connect()
            // Only the loop is to hold it in the end.
            loop.execute {
                goOn.wait()
                first.assumeIsolated { $0.disconnect() }
            }
        }
        await endFirst()
        goOn.signal()
        #expect(try await ended.next() == "first, on the loop")
    }

    /// What goes with a loop that ends may still call it.
    @Test func whatATimerHeldMayCallTheLoopThatEnds() async throws {
        let loop = try RealtimeLoop()
        let gone = Mailbox<Bool>()
        let addTimer = {
            let ending = Ending(onEnd: {
                loop.schedule(after: .seconds(600)) {}
                gone.put(loop.isOnLoop)
            })
            loop.schedule(after: .seconds(600)) { _ = ending }
        }
        addTimer()
        loop.shutdown()
        #expect(try await gone.next())
    }
}
