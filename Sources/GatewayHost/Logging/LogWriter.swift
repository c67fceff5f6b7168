import Dispatch
import Glibc
import Locking

/// Writes lines to a descriptor without ever making the caller wait: records come from the thread that serves a
/// module's sockets, and whoever reads the log may be slow. What is too much for a slow reader is dropped and counted.
final class LogWriter: Sendable {
    /// Bytes that may wait for a slow reader.
    private static let capacity = 4 << 20

    private struct State {
        var waiting = 0
        var dropped = 0
    }

    private let descriptor: Int32
    private let queue = DispatchQueue(label: "gateway-log")
    private let state = Locked(State())

    init(descriptor: Int32) { self.descriptor = descriptor }

    /// Takes one line.
    @Sendable func write(_ line: String) {
        let bytes = Array(line.utf8)
        let accepted = state.withLock { state in
            guard state.waiting + bytes.count <= Self.capacity else {
                state.dropped += 1
                return false
            }
            state.waiting += bytes.count
            return true
        }
        guard accepted else { return }
        queue.async { [self] in
            put(bytes)
            let dropped = state.withLock { state in
                state.waiting -= bytes.count
                guard state.waiting == 0 else { return 0 }
                defer { state.dropped = 0 }
                return state.dropped
            }
            if dropped > 0 {
                put(Array("{\"level\":\"warning\",\"message\":\"\(dropped) log lines were dropped\"}\n".utf8))
            }
        }
    }

    /// Waits until everything is written, at most 2 s: a reader that is stuck does not hold up the end of the process.
    @Sendable func drain() {
        let done = DispatchSemaphore(value: 0)
        queue.async { done.signal() }
        _ = done.wait(timeout: .now() + 2)
    }

    private func put(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { raw in
                Glibc.write(descriptor, raw.baseAddress?.advanced(by: sent), raw.count - sent)
            }
            if count < 0, errno == EINTR { continue }
            // A log that cannot be written has nobody to tell.
            if count <= 0 { return }
            sent += count
        }
    }
}
