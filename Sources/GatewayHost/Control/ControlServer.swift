import CGatewaySystem
import GatewayControl
import Glibc
import JSONBytes
import Locking
import Logging
import Threads

/// Answers newline-delimited JSON requests on the gateway's Unix socket (mode 0600). One thread serves all
/// connections; each request is handled in a task of its own, and each connection's answers come in order.
final class ControlServer: Sendable {
    /// Longest request line, in bytes: a message text and some paths fit many times over.
    static let maximumRequest = 4 << 20
    /// Connections at once; more wait in the system's queue.
    static let maximumConnections = 128
    /// How long the other side may be silent while a request is to come, or not read an answer; a whole request may take
    /// six times as long. Nobody who types is on the other side, and clients have twice this patience: whoever waits
    /// behind one that says nothing is still answered.
    static let patience = Duration.seconds(5)

    typealias Handler = @Sendable (JSONValue) async -> JSONValue

    private struct Shared {
        var answers: [(connection: Int32, serial: UInt64, bytes: [UInt8])] = []
        var stopping = false
    }

    private let shared = Locked(Shared())
    private let handler: Handler
    private let logger: Logger
    private let wake: Int32
    private let ended = Once<Void>()
    private let path: String
    private let patience: Duration

    /// Listens at once. The caller holds the state directory, so whatever lies at the path is a leftover.
    init(
        stateDirectory: String, patience: Duration = patience, logger: Logger, handler: @escaping Handler
    ) throws(POSIXFailure) {
        self.handler = handler
        self.patience = patience
        self.logger = logger
        let address = try ControlAddress(stateDirectory: stateDirectory)
        path = address.path
        let listener = try ControlAddress.socket()
        var failure: POSIXFailure?
        // On Linux the file gets the mode of the socket: it never exists with a wider one.
        fchmod(listener, 0o600)
        unlink(address.path)
        if address.lend({ bind(listener, $0, $1) }) != 0 {
            failure = POSIXFailure(operation: "binding \(address.path)")
        } else if chmod(address.path, 0o600) != 0 || listen(listener, 16) != 0
            || fcntl(listener, F_SETFL, O_NONBLOCK) != 0
        {
            failure = POSIXFailure(operation: "listening on \(address.path)")
        }
        wake = gateway_eventfd()
        if wake < 0 { failure = failure ?? POSIXFailure(operation: "making an eventfd") }
        if let failure {
            close(listener)
            throw failure
        }
        do {
            try NamedThread.start("control") { [self] in serve(listener) }
        } catch {
            close(listener)
            throw error
        }
    }

    deinit { close(wake) }

    /// Ends all connections and removes the socket. Answers already given are still sent.
    func stop() async {
        shared.withLock { $0.stopping = true }
        ring()
        await ended.value()
    }

    private func ring() {
        var one: UInt64 = 1
        _ = write(wake, &one, MemoryLayout<UInt64>.size)
    }

    private struct Connection {
        var serial: UInt64
        var incoming: [UInt8] = []
        var outgoing: [UInt8] = []
        var busy = false
        var finished = false
        /// Bytes of `incoming` that hold no line end.
        var searched = 0
        /// Since when the other side has been silent, while no request is under way.
        var waitingSince = ContinuousClock.now
        /// Since when the present request is waited for.
        var requestSince = ContinuousClock.now

        /// When its patience ends.
        func deadline(_ patience: Duration) -> ContinuousClock.Instant {
            min(waitingSince.advanced(by: patience), requestSince.advanced(by: patience * 6))
        }
    }

    private func serve(_ listener: Int32) {
        // A peer that went away must not end the process; the pending signal dies with this thread.
        var blocked = sigset_t()
        sigemptyset(&blocked)
        sigaddset(&blocked, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &blocked, nil)
        var connections: [Int32: Connection] = [:]
        var door = ControlDoor(listener: listener)
        var lastSerial: UInt64 = 0
        var stopAt: ContinuousClock.Instant?
        while true {
            let (answers, stopping) = shared.withLock { shared in
                defer { shared.answers = [] }
                return (shared.answers, shared.stopping)
            }
            for answer in answers where connections[answer.connection]?.serial == answer.serial {
                connections[answer.connection]?.outgoing += answer.bytes
                connections[answer.connection]?.busy = false
                connections[answer.connection]?.waitingSince = .now
                connections[answer.connection]?.requestSince = .now
            }
            for descriptor in Array(connections.keys) { step(descriptor, &connections) }
            // Whoever asked for the stop shall have the answer; but nobody can hold up the end by not reading.
            if stopping {
                let end = stopAt ?? .now.advanced(by: .seconds(1))
                stopAt = end
                if .now >= end || connections.values.allSatisfy({ !$0.busy && $0.outgoing.isEmpty }) { break }
            }
            var polled = [pollfd(fd: wake, events: Int16(POLLIN), revents: 0)]
            // One that has one of the last descriptors keeps others out until it is over.
            let isShort = connections.keys.contains { DescriptorLimit.isLast($0) }
            let open = connections.count < Self.maximumConnections && !stopping && !isShort && door.mayOpen()
            polled.append(pollfd(fd: open ? listener : -1, events: Int16(POLLIN), revents: 0))
            for (descriptor, connection) in connections {
                // A finished connection with a request under way waits for the answer only: its hang-up is known.
                if connection.finished, connection.outgoing.isEmpty { continue }
                // While a request is under way no more is read: what is sent meanwhile waits with the sender.
                let events = !connection.outgoing.isEmpty ? POLLOUT : connection.busy ? 0 : POLLIN
                polled.append(pollfd(fd: descriptor, events: Int16(events), revents: 0))
            }
            poll(&polled, nfds_t(polled.count), wait(connections, stopping: stopping, shut: door.isShut))
            if polled[0].revents != 0 {
                var count: UInt64 = 0
                _ = read(wake, &count, MemoryLayout<UInt64>.size)
            }
            if polled[1].revents != 0, let descriptor = door.accept() {
                lastSerial += 1
                connections[descriptor] = Connection(serial: lastSerial)
            }
            for entry in polled.dropFirst(2) where entry.revents != 0 { receive(entry.fd, &connections) }
        }
        for descriptor in connections.keys { close(descriptor) }
        door.close()
        unlink(path)
        ended.decide(())
    }

    /// Milliseconds until something is due; −1 if nothing is.
    private func wait(_ connections: [Int32: Connection], stopping: Bool, shut: Bool) -> Int32 {
        var wait: Duration?
        if stopping { wait = .milliseconds(100) }
        if shut { wait = min(wait ?? ControlDoor.pause, ControlDoor.pause) }
        for connection in connections.values where !connection.busy {
            let left = max(.zero, connection.deadline(patience) - .now)
            wait = min(wait ?? left, left)
        }
        guard let wait else { return -1 }
        return Int32(clamping: Int((wait / .milliseconds(1)).rounded(.up)))
    }

    private func receive(_ descriptor: Int32, _ connections: inout [Int32: Connection]) {
        guard connections[descriptor]?.outgoing.isEmpty == true else { return }
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        let count = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        if count <= 0 {
            connections[descriptor]?.finished = true
        } else {
            connections[descriptor]?.incoming += chunk[..<count]
            connections[descriptor]?.waitingSince = .now
        }
    }

    /// Sends what is to be sent, begins the next request, closes what is over.
    private func step(_ descriptor: Int32, _ connections: inout [Int32: Connection]) {
        // What came while this thread stood still came in time.
        if connections[descriptor].map({ !$0.busy && .now >= $0.deadline(patience) }) == true {
            receive(descriptor, &connections)
        }
        guard var connection = connections[descriptor] else { return }
        let isWhole =
            connection.outgoing.isEmpty && connection.incoming[connection.searched...].contains(UInt8(ascii: "\n"))
        if !connection.busy, !isWhole, .now >= connection.deadline(patience) {
            if connection.outgoing.isEmpty, !connection.finished {
                let refusal = ControlAnswer.failure(
                    GatewayError("no whole request came within \(patience.brief)", remedy: "Send one line of JSON"))
                let bytes = refusal.serialized + [UInt8(ascii: "\n")]
                _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            }
            close(descriptor)
            connections[descriptor] = nil
            return
        }
        if !connection.outgoing.isEmpty {
            let count = connection.outgoing.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                connection.outgoing.removeFirst(count)
                connection.waitingSince = .now
                connection.requestSince = .now
            } else if errno != EAGAIN, errno != EINTR {
                connection.outgoing = []
                connection.finished = true
            }
        }
        if !connection.busy, connection.outgoing.isEmpty, !connection.finished || !connection.incoming.isEmpty {
            if let end = connection.incoming[connection.searched...].firstIndex(of: UInt8(ascii: "\n")) {
                connection.searched = 0
                let request = Array(connection.incoming[..<end])
                connection.incoming.removeFirst(end + 1)
                connection.busy = true
                begin(request, descriptor, connection.serial)
            } else if connection.incoming.count > Self.maximumRequest {
                let refusal = ControlAnswer.failure(
                    GatewayError("a request may have at most \(Self.maximumRequest) bytes"))
                connection.outgoing = refusal.serialized + [UInt8(ascii: "\n")]
                connection.incoming = []
                connection.searched = 0
                connection.finished = true
                let count = connection.outgoing.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
                connection.outgoing.removeFirst(max(0, count))
            } else if connection.finished {
                connection.incoming = []
                connection.searched = 0
            } else {
                connection.searched = connection.incoming.count
            }
        }
        if connection.finished, !connection.busy, connection.outgoing.isEmpty {
            close(descriptor)
            connections[descriptor] = nil
        } else {
            connections[descriptor] = connection
        }
    }

    private func begin(_ request: [UInt8], _ descriptor: Int32, _ serial: UInt64) {
        Task {
            let answer: JSONValue
            if let tree = JSONValue.parsed(request), tree.object != nil {
                answer = await handler(tree)
            } else {
                answer = ControlAnswer.failure(GatewayError("a request must be one JSON object on one line"))
            }
            shared.withLock { $0.answers.append((descriptor, serial, answer.serialized + [UInt8(ascii: "\n")])) }
            ring()
        }
    }
}
