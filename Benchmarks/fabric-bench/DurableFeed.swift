import ChannelStore
import Foundation
import Locking

/// The commits that messages cause, as an account makes them: a delivery with its channel's cursor when a message comes,
/// its settling when the turn is over.
struct DurableFeed {
    var accounts: Int
    var messages: Int
    /// Commits that may wait at a time: what keeps coming while a batch is written.
    var outstanding: Int

    /// Deliveries of an account that are not settled.
    static let unsettled = 20

    struct Figures {
        /// Of the whole process, microseconds per message.
        var cpu: Double
        var messagesPerSecond: Double
    }

    /// A message object as guilds send it.
    static let message = Array(
        """
        {"id":"0b0f5f0e-6b7b-4b0c-9a57-5d8f4f0f3a11","seq":123456,"channelId":"5f9d1b7e-0f53-4d84-a3f1-7f2d6e7c9b10",\
        "author":{"id":"9a7c6a8e-58b2-4c3b-8e1d-2f6d0a1b3c44","name":"Ada","kind":"human"},"text":"\
        \(String(repeating: "What was decided about the release? ", count: 8))","attachments":[],"mentions":[],\
        "createdAt":"2026-01-01T00:00:00.000Z"}
        """.utf8)

    func run(_ store: any ChannelStore) -> Figures {
        let names = (0..<accounts).map { "agent-\($0)" }
        let keys = (0..<accounts).map {
            ChannelKey(guild: "5f9d1b7e-0f53-4d84-a3f1", channel: "9a7c6a8e-58b2-4c3b-8e1d-\($0)")
        }
        // What is there once is no cost of a message.
        feed(store, from: 0, count: accounts * 2, names, keys)
        let (cpu, start) = (clock(CLOCK_PROCESS_CPUTIME_ID), clock(CLOCK_MONOTONIC))
        feed(store, from: accounts * 2, count: messages, names, keys)
        return Figures(
            cpu: (clock(CLOCK_PROCESS_CPUTIME_ID) - cpu) / Double(messages) * 1e6,
            messagesPerSecond: Double(messages) / (clock(CLOCK_MONOTONIC) - start))
    }

    private func feed(_ store: any ChannelStore, from first: Int, count: Int, _ names: [String], _ keys: [ChannelKey]) {
        let waiting = Waiting(most: outstanding)
        for number in first..<first + count {
            let account = number % accounts
            waiting.add()
            store.commit(
                [
                    .delivery(
                        StoredDelivery(
                            id: id(number), key: keys[account], sequence: Int64(number), wake: true, caughtUp: false,
                            redelivered: false, message: Self.message, handedOver: true)),
                    .cursor(keys[account], sequence: Int64(number)),
                ], account: names[account]
            ) { _ in waiting.remove() }
            let older = number - Self.unsettled * accounts
            guard older >= 0 else { continue }
            waiting.add()
            store.commit([.settled(delivery: id(older))], account: names[account]) { _ in waiting.remove() }
        }
        waiting.finish()
    }

    private func id(_ number: Int) -> String { "message-\(1_000_000_000_000 + number)-0123456789abcdef" }

    private func clock(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// Commits that are not durable yet. Whoever makes them is stopped at a number, and goes on when half of them are done, as a
/// loop does that is woken once for many.
private final class Waiting: Sendable {
    private let count = Locked(0)
    private let isHalf = DispatchSemaphore(value: 0)
    private let most: Int
    private let stopped = Locked(false)

    init(most: Int) { self.most = most }

    func add() {
        let mustWait = count.withLock { count in
            count += 1
            guard count >= most else { return false }
            stopped.withLock { $0 = true }
            return true
        }
        if mustWait { isHalf.wait() }
    }

    func remove() {
        let wakes = count.withLock { count in
            count -= 1
            guard count == most / 2 || count == 0 else { return false }
            return stopped.withLock { stopped in
                defer { stopped = false }
                return stopped
            }
        }
        if wakes { isHalf.signal() }
    }

    func finish() {
        let mustWait = count.withLock { count in
            stopped.withLock { $0 = count > 0 }
            return count > 0
        }
        if mustWait { isHalf.wait() }
        // Woken at the half already.
        while count.withLock({ $0 > 0 }) { usleep(100) }
    }
}
