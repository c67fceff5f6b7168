import Foundation
import SocketIO
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct TLSTests {
    /// A directory with `authority.pem`, `good.pem`/`good.key` for localhost, `other.pem`/`other.key` for another
    /// name, both by that authority, and `stranger.pem`/`stranger.key`, signed by itself.
    static func certificates() throws -> String {
        let directory = NSTemporaryDirectory() + "socketio-tls-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        func openssl(_ line: String) throws {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
            process.arguments = line.split(separator: " ").map(String.init)
            process.currentDirectoryURL = URL(fileURLWithPath: directory)
            process.standardError = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            try #require(process.terminationStatus == 0, "openssl \(line)")
        }
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        try openssl("req -x509 \(key) -subj /CN=authority -keyout authority.key -out authority.pem")
        for (name, subject) in [
            ("good", "DNS:localhost"), ("other", "DNS:elsewhere.example"), ("address", "IP:127.0.0.1"),
            ("otheraddress", "IP:127.0.0.2"),
        ] {
            try openssl(
                "req -x509 \(key) -subj /CN=\(name) -addext subjectAltName=\(subject) -addext "
                    + "basicConstraints=critical,CA:FALSE -CA authority.pem -CAkey authority.key "
                    + "-keyout \(name).key -out \(name).pem")
        }
        try openssl(
            "req -x509 \(key) -subj /CN=localhost -addext subjectAltName=DNS:localhost "
                + "-keyout stranger.key -out stranger.pem")
        return directory
    }

    @Test func otherLoopsDoNotDisturbHandshakes() async throws {
        let directory = try Self.certificates()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let server = try await Server(
            "conformance.py", ["--cert", "\(directory)/good.pem", "--key", "\(directory)/good.key"])
        let loop = try RealtimeLoop()
        defer { loop.shutdown() }
        let recorder = Recorder()
        var configuration = try SocketIOClient.Configuration(url: "https://localhost:\(server.port)")
        configuration.certificateAuthorityFile = "\(directory)/authority.pem"
        configuration.reconnects = false
        let others = Task { while !Task.isCancelled { try RealtimeLoop().shutdown() } }
        defer { others.cancel() }
        for _ in 0..<40 {
            let client = SocketIOClient(configuration: configuration, loop: loop, delegate: recorder)
            await client.connect()
            let state = try await recorder.heard.first { heard -> SocketIOState? in
                guard case .state(let state) = heard, state != .connecting(attempt: 1) else { return nil }
                return state
            }
            guard case .connected = state else {
                Issue.record("\(state)")
                return
            }
            await client.disconnect()
            _ = try await recorder.disconnected()
        }
    }

    /// What OpenSSL holds decrypted is not announced by the system, and the first bytes come with the upgrade's answer.
    @Test func everythingIsReadOverTLS() async throws {
        let directory = try Self.certificates()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        for (behaviour, name) in [("behind", "big"), ("early", "first"), ("pieces", "long")] {
            let server = try await Server(
                "raw.py", [behaviour, "--tls", "\(directory)/good.pem", "\(directory)/good.key"])
            let configure: (inout SocketIOClient.Configuration) -> Void = {
                $0.certificateAuthorityFile = "\(directory)/authority.pem"
            }
            try await withClient(of: server, scheme: "https", host: "localhost", configure: configure) {
                client, heard in
                _ = try await heard.connected()
                let text = try await heard.event(name)
                #expect(text.utf8.count == ["big": 300_010, "first": 11, "long": 200_011][name])
                if behaviour == "behind" { #expect(try await heard.event("small") == #"["small"]"#) }
                await client.disconnect()
                #expect(try await heard.disconnected().why == .clientRequested)
            }
        }
    }

    @Test func verification() async throws {
        let directory: String
        do {
            directory = try Self.certificates()
        }
        defer { try? FileManager.default.removeItem(atPath: directory) }
        func outcome(
            _ certificate: String, authority: String?, host: String = "localhost"
        ) async throws -> SocketIOState {
            let server = try await Server(
                "conformance.py",
                ["--cert", "\(directory)/\(certificate).pem", "--key", "\(directory)/\(certificate).key"])
            let states = Mailbox<SocketIOState>()
            let configure: (inout SocketIOClient.Configuration) -> Void = {
                $0.certificateAuthorityFile = authority.map { "\(directory)/\($0)" }
                $0.reconnects = false
            }
            try await withClient(of: server, scheme: "https", host: host, configure: configure) {
                client, heard in
                let state = try await heard.heard.first { heard -> SocketIOState? in
                    switch heard {
                    case .state(let state) where state != .connecting(attempt: 1): state
                    default: nil
                    }
                }
                if case .connected = state {
                    let ack = try await client.emit("answer", ["secret"], ackTimeout: .seconds(10))
                    #expect(String(decoding: ack.arguments, as: UTF8.self) == #"["secret"]"#)
                }
                states.put(state)
            }
            return try await states.next()
        }
        func expectTLSFailure(_ state: SocketIOState, _ comment: Comment) {
            guard case .disconnected(.transportFailed(let words, _), retryIn: nil) = state else {
                Issue.record("\(comment): \(state)")
                return
            }
            #expect(words.contains("tls failed"), comment)
        }
        let good = try await outcome("good", authority: "authority.pem")
        guard case .connected = good else {
            Issue.record("a good certificate was refused: \(good)")
            return
        }
        expectTLSFailure(try await outcome("good", authority: nil), "an authority the system does not know")
        let address = try await outcome("address", authority: "authority.pem", host: "127.0.0.1")
        guard case .connected = address else {
            Issue.record("a good certificate for an address was refused: \(address)")
            return
        }
        let otherAddress = try await outcome("otheraddress", authority: "authority.pem", host: "127.0.0.1")
        expectTLSFailure(otherAddress, "a certificate for another address")
        let untrusted = try await outcome("address", authority: nil, host: "127.0.0.1")
        expectTLSFailure(untrusted, "an address, from an authority the system does not know")
        let nameOnly = try await outcome("good", authority: "authority.pem", host: "127.0.0.1")
        expectTLSFailure(nameOnly, "a certificate for a name, asked for by address")
        let addressOnly = try await outcome("address", authority: "authority.pem")
        expectTLSFailure(addressOnly, "a certificate for an address, asked for by name")
        expectTLSFailure(try await outcome("other", authority: "authority.pem"), "a certificate for another name")
        expectTLSFailure(try await outcome("stranger", authority: "authority.pem"), "signed by itself")
        let missing = try await outcome("good", authority: "missing.pem")
        guard case .disconnected(.transportFailed(let words, _), _) = missing else {
            Issue.record("\(missing)")
            return
        }
        #expect(words.contains("missing.pem cannot be read"))
    }
}
