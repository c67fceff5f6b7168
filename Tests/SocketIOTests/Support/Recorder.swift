import JSONBytes
import SocketIO

/// A delegate that writes down what it hears.
final class Recorder: SocketIODelegate {
    enum Heard: Sendable {
        case event(String, [UInt8], [[UInt8]])
        case state(SocketIOState)
    }

    let heard = Mailbox<Heard>()
    let onEvent: (@Sendable (SocketIOClient, borrowing SocketIOEvent) -> Void)?

    init(onEvent: (@Sendable (SocketIOClient, borrowing SocketIOEvent) -> Void)? = nil) {
        self.onEvent = onEvent
    }

    func socketIO(_ client: SocketIOClient, received event: borrowing SocketIOEvent) {
        onEvent?(client, event)
        let arguments = event.arguments.map { Array($0.rawBytes) } ?? []
        heard.put(.event(event.name.string ?? "", arguments, event.attachments))
    }

    func socketIO(_ client: SocketIOClient, changed state: SocketIOState) { heard.put(.state(state)) }

    /// The JSON text of the next event of this name.
    func event(_ name: String, within limit: Duration = .seconds(60)) async throws -> String {
        try await heard.first(within: limit) { heard in
            guard case .event(name, let text, _) = heard else { return nil }
            return String(decoding: text, as: UTF8.self)
        }
    }

    func connected(within limit: Duration = .seconds(60)) async throws -> (id: String, recovered: Bool) {
        try await heard.first(within: limit) { heard in
            guard case .state(.connected(let id, let recovered)) = heard else { return nil }
            return (id, recovered)
        }
    }

    func disconnected(within limit: Duration = .seconds(60)) async throws -> (
        why: SocketIODisconnect, retryIn: Duration?
    ) {
        try await heard.first(within: limit) { heard in
            guard case .state(.disconnected(let why, let retryIn)) = heard else { return nil }
            return (why, retryIn)
        }
    }
}
