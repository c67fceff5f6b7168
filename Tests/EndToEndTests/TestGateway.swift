import FabricChannel
import Foundation
import JSONBytes
import Locking
import Logging

/// A gateway for tests: keeps every delivery and status, and answers what the test tells it to.
final class TestGateway: GatewayPort {
    struct Delivery: Sendable {
        var json: JSONValue
        var id: String { json["delivery"]?.string ?? "" }
        var account: String { json["account"]?.string ?? "" }
        var wake: Bool { json["wake"]?.bool ?? false }
        var caughtUp: Bool { json["caughtUp"]?.bool ?? false }
        var redelivered: Bool { json["redelivered"]?.bool ?? false }
        var text: String { json["message"]?["text"]?.string ?? "" }
        var to: String { json["conversation"]?["id"]?.string ?? "" }
        var media: [JSONValue] { json["media"]?.array ?? [] }
    }

    private struct State {
        var deliveries: [Delivery] = []
        var statuses: [JSONValue] = []
        var passing: [JSONValue] = []
        var waiters: [@Sendable () -> Void] = []
        /// Counts them, so that one that comes while a condition is looked at is not missed.
        var changes: UInt64 = 0
    }

    private let state = Locked(State())
    /// Called for every wake delivery, on the loop; the default leaves it to the test.
    ///
    /// In a value of its own: a function that is taken out of a generic one is wrapped anew each time.
    struct Hook: Sendable {
        var call: (@Sendable (Delivery) -> Void)?
    }
    let onWake = Locked(Hook())

    func deliver(_ delivery: UnsafeRawBufferPointer) -> DeliveryAnswer {
        guard let json = try? JSONValue(parsing: Array(delivery)) else { return .finished }
        let delivery = Delivery(json: json)
        change { $0.deliveries.append(delivery) }
        guard delivery.wake else { return .adopted }
        onWake.withLock { $0 }.call?(delivery)
        return .taken
    }

    func accountChanged(_ status: [UInt8]) {
        guard let json = try? JSONValue(parsing: status) else { return }
        change { $0.statuses.append(json) }
    }

    /// Whether what is true for the moment only is heard.
    let hears = Locked(false)
    var hearsPassing: Bool { hears.withLock { $0 } }

    func passing(_ event: [UInt8]) {
        guard let json = try? JSONValue(parsing: event) else { return }
        change { $0.passing.append(json) }
    }

    var passings: [JSONValue] { state.withLock { $0.passing } }

    private func change(_ body: (inout State) -> Void) {
        let waiters = state.withLock { state in
            body(&state)
            state.changes += 1
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter() }
    }

    var deliveries: [Delivery] { state.withLock { $0.deliveries } }
    var statuses: [JSONValue] { state.withLock { $0.statuses } }

    /// Waits until `condition` gives a value, looked at after every delivery and status.
    /// - Parameter whileTheyCome: it is too late only when there was no further delivery for so long: thousands take a slow
    ///   machine longer than few.
    func wait<Value: Sendable>(
        for what: String, timeout: Duration = .seconds(60), whileTheyCome: Bool = false,
        until condition: @escaping @Sendable (TestGateway) -> Value?
    ) async throws -> Value {
        var (count, deadline) = (deliveries.count, ContinuousClock.now.advanced(by: timeout))
        let alarm = Task {
            while true {
                try await Task.sleep(for: timeout)
                change { _ in }
            }
        }
        defer { alarm.cancel() }
        while true {
            let (seen, deliveries) = state.withLock { ($0.changes, $0.deliveries.count) }
            if let value = condition(self) { return value }
            if whileTheyCome, deliveries > count { (count, deadline) = (deliveries, .now.advanced(by: timeout)) }
            guard ContinuousClock.now < deadline else {
                throw TestFailure("timed out waiting for \(what); \(deliveries) deliveries")
            }
            await withCheckedContinuation { changed in
                let isNew = state.withLock { state in
                    if state.changes == seen { state.waiters.append({ changed.resume() }) }
                    return state.changes != seen
                }
                if isNew { changed.resume() }
            }
        }
    }

    func delivery(
        _ what: String, timeout: Duration = .seconds(60), where test: @escaping @Sendable (Delivery) -> Bool
    ) async throws -> Delivery {
        // Those that were looked at are not looked at again: there may be thousands.
        let seen = Locked(0)
        return try await wait(for: what, timeout: timeout) { gateway in
            let deliveries = gateway.deliveries
            let first = seen.withLock { $0 }
            seen.withLock { $0 = deliveries.count }
            return deliveries[first...].first(where: test)
        }
    }

    /// Waits until so many deliveries pass the test; each is looked at once.
    func deliveries(
        _ count: Int, _ what: String, timeout: Duration = .seconds(60),
        where test: @escaping @Sendable (Delivery) -> Bool
    ) async throws {
        let seen = Locked((looked: 0, passed: 0))
        _ = try await wait(for: what, timeout: timeout, whileTheyCome: true) { gateway in
            let deliveries = gateway.deliveries
            return seen.withLock { seen in
                seen.passed += deliveries[seen.looked...].count(where: test)
                seen.looked = deliveries.count
                return seen.passed >= count ? true : nil
            }
        }
    }

    func status(
        _ what: String, timeout: Duration = .seconds(60), where test: @escaping @Sendable (JSONValue) -> Bool
    ) async throws -> JSONValue {
        try await wait(for: what, timeout: timeout) {
            $0.statuses.last.flatMap { test($0) ? $0 : Optional<JSONValue>.none }
        }
    }
}

struct TestFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Keeps log records, so that a test can search them for secrets.
final class LogMemory: Sendable {
    private let lines = Locked<[String]>([])
    var text: String { lines.withLock { $0.joined(separator: "\n") } }
    func append(_ line: String) { lines.withLock { $0.append(line) } }

    var logger: Logger {
        Logger(label: "test") { _ in Handler(memory: self) }
    }

    struct Handler: LogHandler {
        let memory: LogMemory
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .trace
        init(memory: LogMemory) { self.memory = memory }
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) {
            let all = metadata.merging(event.metadata ?? [:]) { $1 }
            memory.append("\(event.level) \(event.message) \(all)")
        }
    }
}
