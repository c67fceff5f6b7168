import Glibc
import Threads

/// A numeric address to connect to.
struct NumericAddress: Sendable, Equatable {
    var text: String

    /// `text` if it is already a numeric address of either family.
    init?(literal text: String) {
        var storage = in6_addr()
        guard inet_pton(AF_INET, text, &storage) == 1 || inet_pton(AF_INET6, text, &storage) == 1 else { return nil }
        self.text = text
    }

    init(_ text: String) { self.text = text }
}

/// Looks names up off the loop; used on the loop.
///
/// One look-up per name at a time, whoever waits for it, and few at once: a thousand clients of one
/// server that reconnect together cost one thread for a moment. A look-up nobody waits for any more
/// is abandoned: `getaddrinfo` cannot be stopped, but its thread then ends without touching anything.
final class Resolver {
    enum Outcome: Sendable {
        case addresses([NumericAddress])
        case failed(String)
    }

    private final class Flight {
        let name: String
        var waiting: [UInt64: (Outcome) -> Void] = [:]
        var lookup: Lookup?

        init(name: String) { self.name = name }
    }

    // The loop owns the resolver and is gone after it. Not weak: see `ClientCore`.
    unowned(unsafe) var loop: RealtimeLoop?
    private let maximumLookups: Int
    private var running: Int { lookups.count }
    private var flights: [String: Flight] = [:]
    private var queued: [Flight] = []
    /// Threads that have not come back, whether or not anybody waits for them.
    private var lookups: [ObjectIdentifier: Lookup] = [:]

    init(maximumLookups: Int) {
        self.maximumLookups = max(1, maximumLookups)
    }

    /// Calls `completion` on the loop, later, unless it is cancelled by ``cancel(_:name:)``.
    func resolve(_ name: String, id: UInt64, _ completion: @escaping (Outcome) -> Void) {
        if let flight = flights[name] {
            flight.waiting[id] = completion
            return
        }
        let flight = Flight(name: name)
        flight.waiting[id] = completion
        flights[name] = flight
        if running < maximumLookups { start(flight) } else { queued.append(flight) }
    }

    func cancel(_ id: UInt64, name: String) {
        guard let flight = flights[name] else { return }
        flight.waiting[id] = nil
        guard flight.waiting.isEmpty else { return }
        flights[name] = nil
        // A stuck look-up keeps its place among the running ones until it comes back.
        if flight.lookup == nil { queued.removeAll { $0 === flight } }
    }

    /// The loop ends: look-ups under way will touch nothing.
    func abandonAll() {
        for lookup in lookups.values { lookup.abandon() }
        flights = [:]
        queued = []
        lookups = [:]
    }

    private func start(_ flight: Flight) {
        guard let loop else { return }
        let name = flight.name
        let lookup = Lookup { lookup, outcome in
            loop.execute { loop.confined?.resolver.finished(lookup, name: name, outcome) }
        }
        flight.lookup = lookup
        lookups[ObjectIdentifier(lookup)] = lookup
        do {
            try NamedThread.detached("resolve") { lookup.run(name) }
        } catch {
            lookup.finish(.failed("no thread for looking up the name"))
        }
    }

    private func finished(_ lookup: Lookup, name: String, _ outcome: Outcome) {
        lookups[ObjectIdentifier(lookup)] = nil
        if let flight = flights[name], flight.lookup === lookup {
            flights[name] = nil
            for completion in flight.waiting.values { completion(outcome) }
        }
        while running < maximumLookups, !queued.isEmpty { start(queued.removeFirst()) }
    }
}
