/// Hears the client on behalf of a socket.
final class SocketRelay: SocketIODelegate {
    private let socket: SocketIOSocket

    init(_ socket: SocketIOSocket) { self.socket = socket }

    func socketIO(_ client: SocketIOClient, received event: borrowing SocketIOEvent) {
        let owned = SocketIOOwnedEvent(event)
        socket.assumeIsolated { $0.received(owned) }
    }

    func socketIO(_ client: SocketIOClient, changed state: SocketIOState) {
        socket.assumeIsolated { $0.changed(state) }
    }
}

extension SocketIOClient {
    /// For code on the loop.
    /// - Returns: the number of the acknowledgement that is awaited, if one is.
    nonisolated func sendNow(
        _ event: String, _ arguments: [SocketIOArgument],
        _ acknowledged: (timeout: Duration, completion: AcknowledgementCompletion)?
    ) throws(SocketIOError) -> UInt64? {
        let outcome = assumeIsolated { client -> Result<UInt64?, SocketIOError> in
            do throws(SocketIOError) {
                if let (timeout, completion) = acknowledged {
                    return .success(
                        try client.emit(event, arguments, ackTimeout: timeout, completion: completion))
                }
                try client.emit(event, arguments)
                return .success(nil)
            } catch {
                return .failure(error)
            }
        }
        return try outcome.get()
    }
}

extension SocketIOValue {
    /// The JSON text of an object without bytes in it.
    func connectPayload() throws(SocketIOError) -> [UInt8] {
        guard object != nil else { throw .invalidArgument("the auth callback must give an object") }
        var writer = JSONWriter(capacity: 256)
        var attachments: [[UInt8]] = []
        write(to: &writer, &attachments)
        guard attachments.isEmpty else { throw .invalidArgument("the auth callback's object cannot hold bytes") }
        return writer.bytes
    }
}
