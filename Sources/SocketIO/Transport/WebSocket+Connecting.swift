import CLibWebSocketsShims
import Glibc

// From an address to an open WebSocket.
extension WebSocket {
    func startConnecting() {
        connectUntil = loop.confined?.now.advanced(by: request.deadlines.connect)
        connectNext()
    }

    /// Tries the next address; each gets its share of what is left of the deadline.
    private func connectNext() {
        guard let state = loop.confined, let connectUntil else { return finish(.loopShutDown) }
        state.forgetTime()
        let left = state.now.duration(to: connectUntil)
        guard !addresses.isEmpty, left > .zero else { return finish(end ?? .timedOut(.connect)) }
        let address = addresses.removeFirst()
        stage = .connecting
        end = nil
        attemptFailed = false
        let share = addresses.isEmpty ? left : max(left / (addresses.count + 1), min(left, .seconds(1)))
        arm(share) { $0.connectDeadlinePassed() }
        guard let host = state.virtualHost(isSecure: request.isSecure, authorityFile: request.certificateAuthorityFile)
        else {
            return finish(.failed(.tls, words: "the TLS context cannot be made", status: nil))
        }
        let started = address.text.withCString { address in
            hostHeader.withCString { header in
                var target = clws_target()
                target.address = address
                target.port = Int32(clamping: request.port)
                target.uses_tls = request.isSecure ? 1 : 0
                target.host = header
                target.vhost = host
                target.connection = Unmanaged.passUnretained(self).toOpaque()
                return clws_connect(state.library, &target)
            }
        }
        // A failure within the call was heard by the callback.
        guard !attemptFailed, stage != .ended else { return }
        if let started {
            attempt = started
        } else {
            failed(words: "cannot connect")
        }
    }

    /// As it stands in the request; the library takes the server's name for TLS from it too.
    private var hostHeader: String {
        let name = request.host.contains(":") ? "[\(request.host)]" : request.host
        return request.port == (request.isSecure ? 443 : 80) ? name : "\(name):\(request.port)"
    }

    private func connectDeadlinePassed() {
        guard let attempt, stage == .connecting else { return finish(.timedOut(.connect)) }
        guard request.isSecure, clws_is_tcp_connected(attempt) == 1 else {
            end = .timedOut(.connect)
            dropAttempt()
            return connectNext()
        }
        arm(request.deadlines.tls) { $0.finish(.timedOut(.tls)) }
    }

    /// The library could not make the connection; it has let go of it already.
    func failed(words: String) {
        attempt = nil
        attemptFailed = true
        guard stage == .connecting else { return }
        let phase: WebSocketPhase = distrust != nil || isAboutTLS(words) ? .tls : .connect
        let heard = end ?? .failed(phase, words: distrust ?? words, status: nil)
        if phase == .connect, !addresses.isEmpty {
            end = nil
            // Not from inside the library's callback.
            arm(.zero) { $0.connectNext() }
        } else {
            finish(heard)
        }
    }

    private func isAboutTLS(_ words: String) -> Bool {
        guard request.isSecure else { return false }
        let lower = words.lowercased()
        return ["ssl", "tls", "cert", "hostname", "issuer"].contains { lower.contains($0) }
    }

    /// TCP (and TLS, if any) stand, and the connection is ours.
    func connected(_ link: OpaquePointer) {
        attempt = nil
        guard stage == .connecting, let state = loop.confined else { return clws_link_free(link) }
        self.link = link
        stage = .upgrading
        addresses = []
        arm(request.deadlines.upgrade) { $0.finish(.timedOut(.upgrade)) }
        guard clws_link_watch(state.library, link, number) == 0 else {
            let words = String(cString: strerror(errno))
            return finish(.failed(.connect, words: "the socket cannot be watched (\(words))", status: nil))
        }
        guard let (key, accept) = state.upgradeKey(),
            let text = UpgradeExchange.request(request, host: hostHeader, key: key)
        else {
            let words = "a header or the path holds what a request cannot carry"
            return finish(.failed(.upgrade, words: words, status: nil))
        }
        exchange = UpgradeExchange(accept: accept)
        outgoing.add(raw: text)
        flushSoon()
    }

    /// Takes bytes of the answer to the upgrade; what follows it are frames.
    func receiveAnswer(_ bytes: UnsafeRawBufferPointer) {
        do throws(UpgradeExchange.Refusal) {
            guard let end = try exchange?.take(bytes) else { return }
            exchange = nil
            stage = .open
            disarm()
            handler?.webSocketOpened()
            receiveFrames(UnsafeRawBufferPointer(rebasing: bytes[end...]))
        } catch {
            finish(.failed(.upgrade, words: error.words, status: error.status))
        }
    }
}
