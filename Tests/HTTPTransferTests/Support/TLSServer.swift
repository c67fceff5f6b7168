import Foundation

/// `openssl s_server` with a certificate made on the spot.
final class TLSServer {
    let port: Int
    let authority: String
    private let process = Process()

    /// - Parameter names: of the certificate, as openssl's subjectAltName has them.
    init(in scratch: Scratch, names: String = "IP:127.0.0.1", extra: [String] = []) async throws {
        let key = scratch.file("key.pem")
        authority = scratch.file("cert.pem")
        try await Self.run([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=test", "-addext", "subjectAltName=" + names, "-keyout", key, "-out", authority,
        ])
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = ["s_server", "-accept", "127.0.0.1:0", "-key", key, "-cert", authority, "-www"] + extra
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        process.standardInput = Pipe()
        try process.run()
        // "ACCEPT 127.0.0.1:40123"
        var text = ""
        var found: Int?
        while found == nil {
            let data = output.fileHandleForReading.availableData
            guard !data.isEmpty else { throw POSIXError(.ECONNREFUSED) }
            text += String(decoding: data, as: UTF8.self)
            found = text.split(separator: "\n").first { $0.hasPrefix("ACCEPT ") && text.hasSuffix("\n") }
                .flatMap { Int($0.split(separator: ":").last?.trimmingCharacters(in: .whitespaces) ?? "") }
        }
        port = found ?? 0
    }

    deinit {
        // Not SIGTERM: the child inherits the signal mask of a pool's thread, which blocks it.
        kill(process.processIdentifier, SIGKILL)
    }

    static func run(_ arguments: [String]) async throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        let status: Int32 = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        guard status == 0 else { throw POSIXError(.EINVAL) }
    }
}

/// An HTTP/2 server of Node's, with the certificate `TLSServer` made; says what it saw.
final class NodeServer {
    let port: Int
    private let process = Process()

    init(in scratch: Scratch) throws {
        let script = """
            const fs = require('fs'); let sessions = 0
            const server = require('http2').createSecureServer({
              key: fs.readFileSync(process.argv[1]), cert: fs.readFileSync(process.argv[2]) })
            server.on('session', () => sessions++)
            server.on('request', (request, response) => { let bytes = 0
              request.on('data', piece => bytes += piece.length)
              request.on('end', () => response.end(`${request.httpVersion} ${sessions} ${bytes}`)) })
            server.listen(0, '127.0.0.1', () => console.log(server.address().port))
            """
        process.executableURL = URL(fileURLWithPath: "/usr/bin/node")
        process.arguments = ["-e", script, scratch.file("key.pem"), scratch.file("cert.pem")]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        guard let port = Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw POSIXError(.ECONNREFUSED)
        }
        self.port = port
    }

    deinit { kill(process.processIdentifier, SIGKILL) }
}
