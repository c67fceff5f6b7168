import ArgumentParser
import CBench
import Foundation
import GatewayABI
import SocketIO

/// The Socket.IO client alone: from the wire to a delegate that counts.
enum SocketRun {
    private final class Counter: SocketIODelegate {
        func socketIO(_ client: SocketIOClient, received event: borrowing SocketIOEvent) {
            guard event.isNamed("message.created"), event.argument(0) != nil else { return }
            _ = count_deliver(nil, gateway_bytes())
        }

        func socketIO(_ client: SocketIOClient, changed state: SocketIOState) {
            guard case .connected = state else { return }
            // The feed sends to connections that joined.
            client.assumeIsolated { try? $0.emit("join_channel") }
        }
    }

    static func measure(_ run: Run) throws -> Double {
        let loop = try RealtimeLoop()
        defer { loop.shutdown() }
        var configuration = try SocketIOClient.Configuration(url: "\(run.stream.scheme)://127.0.0.1:\(run.stream.port)")
        configuration.namespace = "/realtime"
        configuration.certificateAuthorityFile = run.certificate?.path
        let client = SocketIOClient(configuration: configuration, loop: loop, delegate: Counter())
        count_reset(run.count)
        loop.execute { client.assumeIsolated { $0.connect() } }
        return try run.feedAndWait()
    }
}

/// A certificate for 127.0.0.1, signed by itself, for the time of a run.
final class Certificate {
    let path: String
    let key: String

    init() throws {
        let base = NSTemporaryDirectory() + "fabric-bench-\(UUID().uuidString)"
        path = base + ".pem"
        key = base + ".key"
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments =
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=bench -addext "
            .split(separator: " ").map(String.init) + ["subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", path]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw ValidationError("openssl cannot make a certificate") }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
        try? FileManager.default.removeItem(atPath: key)
    }
}
