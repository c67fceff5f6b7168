// An echo client for Autobahn's fuzzing server: every case of it, over this package's WebSocket transport.
// usage: autobahn-client PORT AGENT [report]
// "report": only lets the server write its report once more.

import Foundation
import SocketIO

/// Talks to the fuzzing server: once for the number of cases, once per case, once for the report.
/// Lives on the loop's thread.
final class Echo: WebSocketHandler {
    private let loop: RealtimeLoop
    private let port: Int
    private let agent: String
    private let done: @Sendable () -> Void
    private var number = 0
    private var last = 0
    private var socket: (any WebSocketTransport)?

    init(loop: RealtimeLoop, port: Int, agent: String, done: @escaping @Sendable () -> Void) {
        self.loop = loop
        self.port = port
        self.agent = agent
        self.done = done
    }

    func open(_ path: String) {
        var request = WebSocketRequest(host: "127.0.0.1", port: port, isSecure: false, path: path)
        // The largest case sends 16 MiB.
        request.maximumMessageBytes = 32 << 20
        request.maximumQueuedBytes = 32 << 20
        socket = loop.makeWebSocket(request, handler: self)
        socket?.open()
    }

    /// Lets the server write what it found.
    func report() {
        number = last + 1
        open("/updateReports?agent=\(agent)")
    }

    func webSocketOpened() {}

    func webSocketReceived(_ bytes: UnsafeRawBufferPointer, isBinary: Bool) {
        if last == 0 {
            last = Int(String(decoding: bytes, as: UTF8.self)) ?? 0
        } else {
            _ = socket?.send(Array(bytes), isBinary: isBinary)
        }
    }

    func webSocketEnded(_ end: WebSocketEnd) {
        number += 1
        if last == 0, number == 1 {
            print("the fuzzing server cannot be reached: \(end)")
            done()
        } else if number <= last {
            open("/runCase?case=\(number)&agent=\(agent)")
        } else if number == last + 1 {
            report()
        } else {
            if last > 0 { print("\(last) cases") }
            done()
        }
    }
}

let isReport = CommandLine.arguments.count == 4 && CommandLine.arguments[3] == "report"
guard isReport || CommandLine.arguments.count == 3, let port = Int(CommandLine.arguments[1]) else {
    print("usage: autobahn-client PORT AGENT [report]")
    exit(2)
}
let agent = CommandLine.arguments[2]
let loop = try RealtimeLoop()
let (ended, end) = AsyncStream<Void>.makeStream()
loop.execute {
    let echo = Echo(loop: loop, port: port, agent: agent) { end.finish() }
    if isReport { echo.report() } else { echo.open("/getCaseCount") }
}
for await _ in ended {}
loop.shutdown()
