/// Hears what happens on a client. Called on the loop's thread, synchronously, in order: keep it quick.
///
/// `client.assumeIsolated { … }` gives the client's own calls without a hop.
public protocol SocketIODelegate: AnyObject, Sendable {
    /// An event of the client's namespace. Nothing was allocated for it, unless it has attachments.
    func socketIO(_ client: SocketIOClient, received event: borrowing SocketIOEvent)
    /// The state changed.
    func socketIO(_ client: SocketIOClient, changed state: SocketIOState)
}
