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
    nonisolated func sendNow(
        _ event: String, _ arguments: [SocketIOArgument],
        _ acknowledged: (timeout: Duration, completion: AcknowledgementCompletion)?
    ) throws(SocketIOError) {
        let outcome = assumeIsolated { client -> Result<Void, SocketIOError> in
            do throws(SocketIOError) {
                if let (timeout, completion) = acknowledged {
                    try client.emit(event, arguments, ackTimeout: timeout, completion: completion)
                } else {
                    try client.emit(event, arguments)
                }
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        try outcome.get()
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
