import CLibWebSocketsShims
import Glibc

/// The way from the library's C callbacks into Swift. All run on the loop's thread.
extension LWSWebSocket {
    static var handlers: clws_handlers {
        clws_handlers(
            headers: { connection, wire, cursor, end in
                guard let socket = LWSWebSocket.from(connection) else { return 0 }
                return socket.writeHeaders(wire, cursor, end)
            },
            established: { connection in LWSWebSocket.from(connection)?.opened() },
            received: { connection, bytes, count, flags, remaining in
                guard let socket = LWSWebSocket.from(connection) else { return -1 }
                return socket.received(UnsafeRawBufferPointer(start: bytes, count: count), flags, remaining)
            },
            writable: { connection in
                guard let socket = LWSWebSocket.from(connection), let wire = socket.wire else { return -1 }
                return socket.writeNext(wire) ? 0 : -1
            },
            peer_closed: { connection, code, reason, count in
                let words = UnsafeRawBufferPointer(start: reason, count: reason == nil ? 0 : count)
                LWSWebSocket.from(connection)?.end = .closed(
                    code: code == 0 ? nil : code, reason: String(decoding: words, as: UTF8.self))
            },
            numeric_host: { connection, text, capacity in
                guard let host = LWSWebSocket.from(connection)?.request.host, let text,
                    NumericAddress(literal: host) != nil, host.utf8.count < capacity
                else { return 0 }
                host.withCString { _ = strcpy(text, $0) }
                return 1
            },
            distrusted: { connection, words in
                guard let words else { return }
                LWSWebSocket.from(connection)?.distrust = "certificate refused: " + String(cString: words)
            },
            failed: { connection, words, count, status in
                let words = UnsafeRawBufferPointer(start: words, count: words == nil ? 0 : count)
                let text = words.isEmpty ? "refused or broken" : String(decoding: words, as: UTF8.self)
                LWSWebSocket.from(connection)?.failed(words: text, status: Int(status))
            },
            closed: { connection in
                guard let socket = LWSWebSocket.from(connection) else { return }
                socket.wire = nil
                switch socket.stage {
                case .connecting, .upgrading: socket.failed(words: "closed before it was open", status: 0)
                default: socket.finish(socket.end ?? .closed(code: nil, reason: ""))
                }
            },
            timer: { owner in
                guard let owner else { return }
                Unmanaged<RealtimeLoop>.fromOpaque(owner).takeUnretainedValue().timerFired()
            })
    }

    private static func from(_ connection: UnsafeMutableRawPointer?) -> LWSWebSocket? {
        guard let connection else { return nil }
        return Unmanaged<LWSWebSocket>.fromOpaque(connection).takeUnretainedValue()
    }

    private func writeHeaders(
        _ wire: OpaquePointer?, _ cursor: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?,
        _ end: UnsafeMutablePointer<UInt8>?
    ) -> Int32 {
        requestStarts()
        for header in request.headers {
            let failed = "\(header.name):".withCString { name in
                header.value.withCString { clws_append_header(wire, name, $0, cursor, end) }
            }
            guard failed == 0 else {
                self.end = .failed(.upgrade, words: "the request headers are too long", status: nil)
                return -1
            }
        }
        return 0
    }

    /// A message in one piece is handed on where it lies; others are put together here.
    private func received(_ bytes: UnsafeRawBufferPointer, _ flags: Int32, _ remaining: Int) -> Int32 {
        guard stage == .open else { return stage == .closing ? 0 : -1 }
        let isFirst = flags & Int32(CLWS_FIRST) != 0
        let isFinal = flags & Int32(CLWS_FINAL) != 0
        let isBinary = flags & Int32(CLWS_BINARY) != 0
        // What is announced counts as much as what has come.
        let limit = request.maximumMessageBytes
        guard remaining >= 0, remaining <= limit, partial.count + bytes.count <= limit - remaining else {
            finish(.messageTooLarge(limit: limit))
            return -1
        }
        if isFirst, isFinal {
            handler?.webSocketReceived(bytes, isBinary: isBinary)
        } else {
            partial.append(contentsOf: bytes)
            guard isFinal else { return 0 }
            let whole = partial
            partial = []
            whole.withUnsafeBytes { handler?.webSocketReceived($0, isBinary: isBinary) }
        }
        return stage == .ended ? -1 : 0
    }
}
