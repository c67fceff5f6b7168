import Foundation

/// Ends TLS before servers that have none, with a certificate for 127.0.0.1 that it signs itself.
final class TLSProxy {
    /// In the order of the ports behind it.
    let ports: [Int]
    /// The PEM file of who signed.
    let authority: String
    private let process = Process()

    private static let script = """
        import asyncio, ssl, sys
        async def pump(reader, writer):
            try:
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            except Exception:
                pass
            writer.close()
        def handler(target):
            async def handle(reader, writer):
                try:
                    inner, outer = await asyncio.open_connection('127.0.0.1', target)
                except OSError:
                    writer.close()
                    return
                await asyncio.gather(pump(reader, outer), pump(inner, writer))
            return handle
        async def main():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(sys.argv[1], sys.argv[2])
            servers = [await asyncio.start_server(handler(int(port)), '127.0.0.1', 0, ssl=context) for port in sys.argv[3:]]
            print(' '.join(str(server.sockets[0].getsockname()[1]) for server in servers), flush=True)
            await asyncio.gather(*(server.serve_forever() for server in servers))
        asyncio.run(main())
        """

    init(in directory: String, to targets: [Int]) throws {
        authority = directory + "/tls-cert.pem"
        let key = directory + "/tls-key.pem"
        let openssl = Process()
        openssl.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        openssl.arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", authority,
        ]
        openssl.standardError = FileHandle.nullDevice
        try openssl.run()
        openssl.waitUntilExit()
        guard openssl.terminationStatus == 0 else { throw TestFailure("openssl made no certificate") }

        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "-c", Self.script, authority, key] + targets.map(String.init)
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        var text = ""
        while !text.hasSuffix("\n") {
            let data = output.fileHandleForReading.availableData
            guard !data.isEmpty else { throw TestFailure("the TLS proxy did not start") }
            text += String(decoding: data, as: UTF8.self)
        }
        ports = text.split { $0 == " " || $0 == "\n" }.compactMap { Int($0) }
        guard ports.count == targets.count else { throw TestFailure("the TLS proxy said \(text)") }
    }

    /// Not SIGTERM: the child inherits the signal mask of a pool's thread, which blocks it.
    func stop() { kill(process.processIdentifier, SIGKILL) }
}
