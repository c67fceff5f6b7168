import Foundation
import HTTPTestServer
import HTTPTransfer
import Testing

@Suite struct TLSTests {
    private func perform(
        _ port: Int, host: String = "127.0.0.1", _ authority: String?, connect: Duration = .seconds(10)
    ) async throws(HTTPTransferError) -> Int {
        let transfer = try HTTPTransfer(
            configuration: .init(certificateAuthorityFile: authority, usesEnvironmentProxy: false))
        defer { transfer.shutdown() }
        let request = HTTPRequest(
            .get, "https://\(host):\(port)/", bearer: "secret", deadlines: .init(connect: connect, total: .seconds(20)))
        return try await transfer.perform(request).status
    }

    @Test func aCertificateOfAKnownAuthority() async throws {
        let scratch = try Scratch()
        let server = try await TLSServer(in: scratch)
        #expect(try await perform(server.port, server.authority) == 200)
    }

    @Test func aCertificateOfAnUnknownAuthority() async throws {
        let scratch = try Scratch()
        let server = try await TLSServer(in: scratch)
        let error = try await failure { () throws(HTTPTransferError) in try await perform(server.port, nil) }
        #expect(error.kind == .tls)
        #expect(!error.requestSent)
    }

    @Test func aCertificateForAnotherName() async throws {
        let scratch = try Scratch()
        let server = try await TLSServer(in: scratch, names: "DNS:elsewhere.example")
        let error = try await failure { () throws(HTTPTransferError) in try await perform(server.port, server.authority)
        }
        #expect(error.kind == .tls)
    }

    @Test func anOldProtocol() async throws {
        let scratch = try Scratch()
        let server = try await TLSServer(in: scratch, extra: ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"])
        let error = try await failure { () throws(HTTPTransferError) in try await perform(server.port, server.authority)
        }
        #expect(error.kind == .tls)
    }

    @Test func noTLSAtAll() async throws {
        try await withServer { _, _ in
        } _: { server in
            let error = try await failure { () throws(HTTPTransferError) in
                try await perform(server.port, nil, connect: .milliseconds(300))
            }
            #expect(error.kind == .tls || error.kind == .timedOut(.connect))
        }
    }

    /// Many requests, one connection: libcurl waits for the handshake and then shares it.
    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/node")))
    func manyOverOneConnection() async throws {
        let scratch = try Scratch()
        let certificate = try await TLSServer(in: scratch)
        let server = try NodeServer(in: scratch)
        let transfer = try HTTPTransfer(
            configuration: .init(certificateAuthorityFile: certificate.authority, usesEnvironmentProxy: false))
        defer { transfer.shutdown() }
        let url = "https://127.0.0.1:\(server.port)/"
        let bodies = try await withThrowingTaskGroup(of: String.self) { group in
            for number in 0..<100 {
                let body = [UInt8](repeating: 65, count: number * 100)
                group.addTask {
                    let response = try await transfer.perform(HTTPRequest(.post, url, body: body))
                    return String(decoding: response.body, as: UTF8.self)
                }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        // "version sessions bytes"
        #expect(bodies == Set((0..<100).map { "2.0 1 \($0 * 100)" }))
    }
}
