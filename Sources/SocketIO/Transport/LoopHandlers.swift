import CLibWebSocketsShims
import Glibc

/// The way from the library's C callbacks into Swift. All run on the loop's thread.
extension RealtimeLoop {
    static var handlers: clws_handlers {
        clws_handlers(
            connected: { connection, link in
                guard let link else { return }
                guard let socket = WebSocket.from(connection) else { return clws_link_free(link) }
                socket.connected(link)
            },
            numeric_host: { connection, text, capacity in
                guard let host = WebSocket.from(connection)?.request.host, let text,
                    NumericAddress(literal: host) != nil, host.utf8.count < capacity
                else { return 0 }
                host.withCString { _ = strcpy(text, $0) }
                return 1
            },
            distrusted: { connection, words in
                guard let words else { return }
                WebSocket.from(connection)?.distrust = "certificate refused: " + String(cString: words)
            },
            failed: { connection, words, count in
                let words = UnsafeRawBufferPointer(start: words, count: words == nil ? 0 : count)
                let text = words.isEmpty ? "refused or broken" : String(decoding: words, as: UTF8.self)
                WebSocket.from(connection)?.failed(words: text)
            },
            ready: { owner in
                guard let owner else { return }
                Unmanaged<RealtimeLoop>.fromOpaque(owner).takeUnretainedValue().linksReady()
            },
            timer: { owner in
                guard let owner else { return }
                Unmanaged<RealtimeLoop>.fromOpaque(owner).takeUnretainedValue().timerFired()
            })
    }
}

extension WebSocket {
    fileprivate static func from(_ connection: UnsafeMutableRawPointer?) -> WebSocket? {
        guard let connection else { return nil }
        return Unmanaged<WebSocket>.fromOpaque(connection).takeUnretainedValue()
    }
}
