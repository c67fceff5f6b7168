import ChannelStore
import Testing

@testable import FabricChannel

@Suite struct OutboxTests {
    let key = ChannelKey(guild: "g", channel: "c")
    let now = ContinuousClock.now

    private func effects(_ actions: [Outbox.Action]) -> [Outbox.Action] {
        actions.filter { if case .store = $0 { false } else { true } }
    }

    @Test func oneChannelIsInOrderAndAnotherDoesNotWait() {
        var outbox = Outbox(restored: [], seed: 1)
        let other = ChannelKey(guild: "g", channel: "d")
        _ = outbox.accept(id: "1", key: key, text: "a", media: [], replyTo: nil)
        _ = outbox.accept(id: "2", key: key, text: "b", media: [], replyTo: nil)
        _ = outbox.accept(id: "3", key: other, text: "c", media: [], replyTo: nil)
        let started = effects(outbox.wake(now: now))
        #expect(started.count == 2 && started.contains(.post(id: "1")) && started.contains(.post(id: "3")))
        let next = effects(outbox.posted("1", messageId: "m", sequence: 4, now: now))
        #expect(next == [.complete(id: "1", .sent(messageId: "m", sequence: 4)), .post(id: "2")])
    }

    @Test func filesGoFirst() {
        var outbox = Outbox(restored: [], seed: 1)
        let file = StoredMedia(path: "/f", name: "f", mediaType: "t")
        _ = outbox.accept(id: "1", key: key, text: "", media: [file, file], replyTo: nil)
        #expect(effects(outbox.wake(now: now)) == [.upload(id: "1", index: 0)])
        #expect(effects(outbox.uploaded("1", index: 0, answer: [1], now: now)) == [.upload(id: "1", index: 1)])
        #expect(effects(outbox.uploaded("1", index: 1, answer: [1], now: now)) == [.post(id: "1")])
    }

    @Test func aPassingFailureWaitsAndRetryAfterIsALowerBound() throws {
        var outbox = Outbox(restored: [], seed: 1)
        _ = outbox.accept(id: "1", key: key, text: "a", media: [], replyTo: nil)
        _ = outbox.wake(now: now)
        let failed = outbox.failed("1", .passing(reason: "429", retryAfter: .seconds(20)), posting: true, now: now)
        guard case .wait(let until) = try #require(failed.first) else {
            Issue.record("no wait")
            return
        }
        #expect(until == now.advanced(by: .seconds(20)))
        #expect(effects(outbox.wake(now: now.advanced(by: .seconds(19)))) == [])
        #expect(effects(outbox.wake(now: until)) == [.post(id: "1")])
    }

    @Test func anUnknownOutcomeIsLookedForBeforeItIsRepeated() {
        var outbox = Outbox(restored: [], seed: 1)
        _ = outbox.accept(id: "1", key: key, text: "a", media: [], replyTo: nil)
        _ = outbox.wake(now: now)
        _ = outbox.failed("1", .unknownOutcome(reason: "lost"), posting: true, now: now)
        #expect(effects(outbox.wake(now: now.advanced(by: .seconds(2)))) == [.readBack(id: "1")])
        #expect(effects(outbox.notFound("1", now: now)) == [.post(id: "1")])
    }

    @Test func aFinalFailureIsADeadLetterAndTheNextGoesOn() throws {
        var outbox = Outbox(restored: [], seed: 1)
        _ = outbox.accept(id: "1", key: key, text: "a", media: [], replyTo: nil)
        _ = outbox.accept(id: "2", key: key, text: "b", media: [], replyTo: nil)
        _ = outbox.wake(now: now)
        let actions = effects(outbox.failed("1", .final(reason: "channel_closed"), posting: true, now: now))
        #expect(actions == [.complete(id: "1", .dead(reason: "channel_closed")), .post(id: "2")])
        #expect(outbox.deadLetters.map(\.id) == ["1"])
        _ = outbox.posted("2", messageId: "m", sequence: nil, now: now)
        let resubmitted = outbox.resubmit("1", now: now)
        let again = effects(try #require(resubmitted))
        #expect(again == [.post(id: "1")])
        #expect(outbox.drop("1") == nil)
    }

    /// Crashes at any write: the entries that were stored are all sent by the next run, each under its own id.
    @Test func aCrashAtAnyWriteLosesNothing() {
        for seed in 0..<2000 {
            var random = SplitMix64(state: UInt64(seed))
            var stored: [String: OutboxEntry] = [:]
            var posted: [String] = []
            var accepted: [String] = []
            var writesLeft = Int(random.next() % 30)
            var outbox = Outbox(restored: [], seed: UInt64(seed))

            func carryOut(_ actions: [Outbox.Action]) {
                var queue = actions
                while !queue.isEmpty {
                    let action = queue.removeFirst()
                    switch action {
                    case .store(let change):
                        guard writesLeft > 0 else { return }
                        writesLeft -= 1
                        if case .outbox(let entry) = change { stored[entry.id] = entry }
                        if case .outboxRemoved(let id) = change { stored[id] = nil }
                    case .post(let id):
                        if !posted.contains(id) { posted.append(id) }
                        queue += outbox.posted(id, messageId: "m", sequence: nil, now: now)
                    default: break
                    }
                }
            }
            for number in 0..<6 {
                let actions = outbox.accept(
                    id: "\(number)", key: key, text: "t", media: [], replyTo: nil)
                carryOut(actions)
                if stored["\(number)"] != nil { accepted.append("\(number)") }
                if writesLeft == 0 { break }
                carryOut(outbox.wake(now: now))
            }
            writesLeft = .max
            outbox = Outbox(restored: Array(stored.values), seed: 1)
            carryOut(outbox.wake(now: now))
            #expect(accepted.allSatisfy { posted.contains($0) || stored[$0] == nil }, "seed \(seed)")
            #expect(Set(posted).isSuperset(of: accepted), "seed \(seed)")
            #expect(posted == posted.sorted(), "seed \(seed)")
        }
    }
}
