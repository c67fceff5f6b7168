/// Who listens to what. Behind a lock: who has added a listener hears what happens from then on, also when the loop's thread
/// is behind with its work.
struct ListenerBook: Sendable {
    enum Hears: Sendable {
        case event(String?, isOnce: Bool, @Sendable (SocketIOOwnedEvent) -> Void)
        case state(@Sendable (SocketIOState) -> Void)
        case problem(@Sendable (SocketIOError) -> Void)
    }

    struct Entry: Sendable {
        var number: UInt64
        var hears: Hears
        /// Called when nothing more will come.
        var ended: (@Sendable () -> Void)?
    }

    /// In the order they were added.
    private var entries: [Entry] = []

    mutating func add(_ number: UInt64, _ hears: Hears, ended: (@Sendable () -> Void)? = nil) {
        entries.append(Entry(number: number, hears: hears, ended: ended))
    }

    /// Takes an entry out. To be let go of outside the lock: with it may go what cancels another listener.
    mutating func remove(_ number: UInt64) -> Entry? {
        guard let index = entries.firstIndex(where: { $0.number == number }) else { return nil }
        return entries.remove(at: index)
    }

    /// Who is to hear an event, in order. They are called by the caller: what they do may lead back here.
    mutating func hearers(of event: SocketIOOwnedEvent) -> [@Sendable (SocketIOOwnedEvent) -> Void] {
        var done: [UInt64] = []
        var bodies: [@Sendable (SocketIOOwnedEvent) -> Void] = []
        for entry in entries {
            guard case .event(let name, let isOnce, let body) = entry.hears, name == nil || name == event.name else {
                continue
            }
            bodies.append(body)
            if isOnce { done.append(entry.number) }
        }
        if !done.isEmpty { entries.removeAll { done.contains($0.number) } }
        return bodies
    }

    /// Who is to hear a change of state.
    var stateHearers: [@Sendable (SocketIOState) -> Void] {
        entries.compactMap { entry in
            guard case .state(let body) = entry.hears else { return nil }
            return body
        }
    }

    /// Who is to hear what went wrong.
    var problemHearers: [@Sendable (SocketIOError) -> Void] {
        entries.compactMap { entry in
            guard case .problem(let body) = entry.hears else { return nil }
            return body
        }
    }

    /// Nothing more will come: who is to be told so, and let go of outside the lock.
    mutating func end() -> [Entry] {
        defer { entries = [] }
        return entries
    }
}

/// A listener that was added; it stays until it is cancelled.
public struct SocketIOListener: Sendable {
    let number: UInt64
    let socket: SocketIOSocket

    /// Takes the listener away. Called from outside the loop, what is being told at this moment may still reach it.
    public func cancel() {
        _ = socket.listeners.withLock { $0.remove(number) }
    }
}
