import Foundation

/// A request as the test server read it.
package struct TestRequest: Sendable {
    package var method: String
    package var target: String
    package var headers: [(name: String, value: String)]
    /// Complete up to 8 MiB, else empty; see ``bodyBytes``.
    package var body: [UInt8]
    package var bodyBytes: Int
    /// Number of the connection, from 1.
    package var connection: Int

    package subscript(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
    package var text: String { String(decoding: body, as: UTF8.self) }
}

/// A small HTTP/1.1 server on raw sockets: what it sends, and when it stops sending, is the test's to say.
package final class TestServer: Sendable {
    package typealias Handler = @Sendable (TestRequest, TestConnection) -> Void

    private struct State {
        var connections = 0
        var open: Set<Int32> = []
        var mostOpen = 0
        var requests: [TestRequest] = []
        var isStopped = false
    }

    package let port: Int
    private let listener: Int32
    private let state = Guarded(State())
    private let handler: Handler
    /// Keep-alive connections whose first bytes are awaited are closed at once when false.
    private let readsRequests: Bool
    /// Called when a request's head was read, before its body is.
    private let onHead: (@Sendable () -> Void)?

    package var url: String { "http://127.0.0.1:\(port)" }
    package var connections: Int { state.withLock { $0.connections } }
    package var mostOpen: Int { state.withLock { $0.mostOpen } }
    package var requests: [TestRequest] { state.withLock { $0.requests } }

    package init(
        readsRequests: Bool = true, onHead: (@Sendable () -> Void)? = nil, handler: @escaping Handler
    ) throws {
        self.handler = handler
        self.onHead = onHead
        self.readsRequests = readsRequests
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 512) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard bound else { throw POSIXError(.EADDRINUSE) }
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { self.accept() }
    }

    package func stop() {
        state.withLock { state in
            guard !state.isStopped else { return }
            state.isStopped = true
            for descriptor in state.open { shutdown(descriptor, Int32(SHUT_RDWR)) }
            shutdown(listener, Int32(SHUT_RDWR))
        }
    }

    private func accept() {
        while true {
            let descriptor = Foundation.accept(listener, nil, nil)
            guard descriptor >= 0 else { break }
            let number: Int? = state.withLock { state in
                guard !state.isStopped else { return nil }
                state.connections += 1
                state.open.insert(descriptor)
                state.mostOpen = max(state.mostOpen, state.open.count)
                return state.connections
            }
            guard let number else {
                close(descriptor)
                continue
            }
            Thread.detachNewThread {
                self.serve(TestConnection(descriptor: descriptor, number: number))
                self.state.withLock { _ = $0.open.remove(descriptor) }
                close(descriptor)
            }
        }
        close(listener)
    }

    private func serve(_ connection: TestConnection) {
        guard readsRequests else { return connection.reset() }
        while !connection.isClosed, let request = connection.readRequest(onHead) {
            state.withLock { $0.requests.append(request) }
            handler(request, connection)
        }
    }
}

/// One connection; used by its thread only.
package final class TestConnection {
    package let descriptor: Int32
    package let number: Int
    package private(set) var isClosed = false
    private var buffer: [UInt8] = []

    package init(descriptor: Int32, number: Int) {
        self.descriptor = descriptor
        self.number = number
    }

    package func send(_ text: String) { send(Array(text.utf8)) }

    @discardableResult
    package func send(_ bytes: [UInt8]) -> Bool {
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes {
                Foundation.send(descriptor, $0.baseAddress! + offset, bytes.count - offset, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else {
                isClosed = true
                return false
            }
            offset += count
        }
        return true
    }

    package func respond(_ status: Int, _ headers: [String] = [], body: String = "") {
        respond(status, headers, bytes: Array(body.utf8))
    }

    package func respond(_ status: Int, _ headers: [String] = [], bytes: [UInt8]) {
        let lines = ["HTTP/1.1 \(status) X", "Content-Length: \(bytes.count)"] + headers
        send(Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + bytes)
    }

    package func close() { isClosed = true }

    /// Ends with RST instead of FIN.
    package func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        isClosed = true
    }

    /// Says nothing more until the other side gives up.
    package func stall() {
        while !waitForPeer(milliseconds: 1000) {}
        isClosed = true
    }

    /// True when the other side has closed.
    package func waitForPeer(milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, milliseconds) > 0 else { return false }
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, Int32(MSG_PEEK)) <= 0
    }

    package func readRequest(_ onHead: (@Sendable () -> Void)?) -> TestRequest? {
        var end: Int?
        while end == nil {
            end = buffer.firstRange(of: [13, 10, 13, 10])?.upperBound
            if end == nil, !fill() { return nil }
        }
        guard let end else { return nil }
        let lines = String(decoding: buffer[..<(end - 4)], as: UTF8.self).components(separatedBy: "\r\n")
        buffer.removeSubrange(..<end)
        let first = lines[0].split(separator: " ")
        var request = TestRequest(
            method: String(first[0]), target: String(first[1]), headers: [], body: [], bodyBytes: 0, connection: number)
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            request.headers.append(
                (String(line[..<colon]), line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)))
        }
        onHead?()
        guard readBody(&request) else { return nil }
        return request
    }

    private func readBody(_ request: inout TestRequest) -> Bool {
        let length = request["Content-Length"].flatMap { Int($0) } ?? 0
        let keeps = length <= 8 << 20
        while request.bodyBytes < length {
            if buffer.isEmpty, !fill() { return false }
            let count = min(buffer.count, length - request.bodyBytes)
            if keeps { request.body += buffer[..<count] }
            if count == buffer.count {
                buffer.removeAll(keepingCapacity: true)
            } else {
                buffer.removeSubrange(..<count)
            }
            request.bodyBytes += count
        }
        return true
    }

    private func fill() -> Bool {
        var area = [UInt8](repeating: 0, count: 256 << 10)
        let count = area.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
        guard count > 0 else { return false }
        buffer += area[..<count]
        return true
    }
}
