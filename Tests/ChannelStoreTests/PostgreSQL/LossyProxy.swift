import Foundation
import Locking

/// Stands between a store and its database, on a Unix socket of its own, and loses what it is told to lose.
final class LossyProxy: Sendable {
    let directory: String
    private let listener: Int32
    private let target: String
    private let state = Locked((losesNext: false, lost: 0, open: Set<Int32>()))

    /// How many answers it lost.
    var lost: Int { state.withLock { $0.lost } }

    /// - Parameter target: The socket of the server.
    init(_ target: String) throws {
        self.target = target
        directory = "/tmp/px\(UInt32.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        let path = directory + "/.s.PGSQL.5432"
        let isBound = Self.withAddress(path) { bind(listener, $0, $1) == 0 }
        guard isBound, listen(listener, 16) == 0 else { throw POSIXError(.EADDRINUSE) }
        Thread.detachNewThread { [listener] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { break }
                self.serve(client)
            }
            close(listener)
        }
    }

    /// The database does the next thing it is asked for, its answer is lost, and the connection with it.
    func loseNextAnswer() { state.withLock { $0.losesNext = true } }

    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        state.withLock { for descriptor in $0.open { shutdown(descriptor, Int32(SHUT_RDWR)) } }
        try? FileManager.default.removeItem(atPath: directory)
    }

    private func serve(_ client: Int32) {
        let server = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard Self.withAddress(target, { connect(server, $0, $1) == 0 }) else {
            close(server)
            close(client)
            return
        }
        state.withLock { $0.open.formUnion([client, server]) }
        let questions = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            self.pump(from: client, to: server, isAnswer: false)
            questions.signal()
        }
        Thread.detachNewThread {
            self.pump(from: server, to: client, isAnswer: true)
            // Not before: a descriptor's number is the next connection's, which the other would shut down.
            questions.wait()
            self.state.withLock { $0.open.subtract([client, server]) }
            close(server)
            close(client)
        }
    }

    private func pump(from source: Int32, to target: Int32, isAnswer: Bool) {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        defer {
            shutdown(source, Int32(SHUT_RDWR))
            shutdown(target, Int32(SHUT_RDWR))
        }
        while true {
            let count = recv(source, &bytes, bytes.count, 0)
            guard count > 0 else { return }
            if isAnswer {
                let loses = state.withLock { state in
                    defer { state.losesNext = false }
                    if state.losesNext { state.lost += 1 }
                    return state.losesNext
                }
                if loses { return }
            }
            var sent = 0
            while sent < count {
                let more = bytes.withUnsafeBytes {
                    send(target, $0.baseAddress! + sent, count - sent, Int32(MSG_NOSIGNAL))
                }
                guard more > 0 else { return }
                sent += more
            }
        }
    }

    private static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Bool) -> Bool {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
