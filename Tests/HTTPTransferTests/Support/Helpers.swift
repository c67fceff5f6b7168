import Foundation
import HTTPTestServer
import HTTPTransfer
import Testing

/// A directory that goes with the test.
final class Scratch {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "http-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
        return file(name)
    }

    /// A file of that size that takes no room on disk.
    func sparse(_ name: String, bytes: Int) throws -> String {
        let path = try write(name, [])
        #expect(truncate(path, off_t(bytes)) == 0)
        return path
    }

    var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path).sorted()) ?? [] }
}

func withTransfer<T>(
    _ configuration: HTTPTransfer.Configuration = .init(usesEnvironmentProxy: false),
    _ body: (HTTPTransfer) async throws -> T
) async throws -> T {
    let transfer = try HTTPTransfer(configuration: configuration)
    defer { transfer.shutdown() }
    return try await body(transfer)
}

func withServer<T>(
    readsRequests: Bool = true, _ handler: @escaping TestServer.Handler, _ body: (TestServer) async throws -> T
) async throws -> T {
    let server = try TestServer(readsRequests: readsRequests, handler: handler)
    defer { server.stop() }
    return try await body(server)
}

/// The error of a call that must fail.
func failure<T>(_ body: () async throws(HTTPTransferError) -> T) async throws -> HTTPTransferError {
    do throws(HTTPTransferError) {
        _ = try await body()
    } catch {
        return error
    }
    Issue.record("it should have failed")
    throw CancellationError()
}

/// Says when something happened that a test waits for.
final class Signal: Sendable {
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream() }

    func raise() { continuation.yield() }

    func wait() async {
        for await _ in stream { return }
    }
}

/// The process's peak memory in bytes since `resetPeak`.
enum Memory {
    static func resetPeak() throws {
        try Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/self/clear_refs"))
    }

    static var peak: Int { field("VmHWM:") }
    static var now: Int { field("VmRSS:") }

    private static func field(_ name: String) -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix(name) } ?? ""
        return (line.split(separator: " ").compactMap { Int($0) }.first ?? 0) * 1024
    }
}
