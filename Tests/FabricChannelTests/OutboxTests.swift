import ChannelStore
import Testing

@testable import FabricChannel

@Suite struct OutboxTests {
    let key = ChannelKey(guild: "g", channel: "c")
    let now = ContinuousClock.now

    private func accept(
        _ outbox: inout Outbox, _ id: String, _ text: String, to other: ChannelKey? = nil, media: [StoredMedia] = [],
        floor: Int64? = nil
    ) {
        outbox.accept(id: id, key: other ?? key, text: text, media: media, replyTo: nil, floor: floor)
        _ = outbox.keep(id)
        outbox.stored(id)
    }

    private func effects(_ actions: [Outbox.Action]) -> [Outbox.Action] {
        actions.filter { if case .store = $0 { false } else { true } }
    }

    @Test func oneChannelIsInOrderAndAnotherDoesNotWait() {
        var outbox = Outbox(restored: [], seed: 1)
        let other = ChannelKey(guild: "g", channel: "d")
        accept(&outbox, "1", "a")
        accept(&outbox, "2", "b")
        accept(&outbox, "3", "c", to: other)
        let started = effects(outbox.wake(now: now))
        #expect(started.count == 2 && started.contains(.post(id: "1")) && started.contains(.post(id: "3")))
        let next = effects(outbox.posted("1", messageId: "m", sequence: 4, now: now))
        #expect(next == [.complete(id: "1", .sent(messageId: "m", sequence: 4)), .post(id: "2")])
    }

    @Test func filesGoFirst() {
        var outbox = Outbox(restored: [], seed: 1)
        let file = StoredMedia(path: "/f", name: "f", mediaType: "t")
        accept(&outbox, "1", "", media: [file, file])
        #expect(effects(outbox.wake(now: now)) == [.upload(id: "1", index: 0)])
        #expect(effects(outbox.uploaded("1", index: 0, answer: [1], now: now)) == [.upload(id: "1", index: 1)])
        #expect(effects(outbox.uploaded("1", index: 1, answer: [1], now: now)) == [.post(id: "1")])
    }

    @Test func aPassingFailureWaitsAndRetryAfterIsALowerBound() throws {
        var outbox = Outbox(restored: [], seed: 1)
        accept(&outbox, "1", "a")
        _ = outbox.wake(now: now)
        _ = outbox.failed("1", .passing(reason: "429", retryAfter: .seconds(20)), posting: true, now: now)
        let until = try #require(outbox.due)
        #expect(until == now.advanced(by: .seconds(20)))
        #expect(effects(outbox.wake(now: now.advanced(by: .seconds(19)))) == [])
        #expect(effects(outbox.wake(now: until)) == [.post(id: "1")])
    }

    @Test func anUnknownOutcomeIsLookedForBeforeItIsRepeated() {
        var outbox = Outbox(restored: [], seed: 1)
        accept(&outbox, "1", "a", floor: 3)
        _ = outbox.wake(now: now)
        _ = outbox.failed("1", .unknownOutcome(reason: "lost"), posting: true, now: now)
        #expect(effects(outbox.wake(now: now.advanced(by: .seconds(2)))) == [.readBack(id: "1")])
        #expect(effects(outbox.notFound("1", now: now)) == [.post(id: "1")])
    }

    @Test func aFinalFailureIsADeadLetterAndTheNextGoesOn() throws {
        var outbox = Outbox(restored: [], seed: 1)
        accept(&outbox, "1", "a")
        accept(&outbox, "2", "b")
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

    @Test func withoutAPlaceToLookFromTheKeyAloneIsRelied() {
        var outbox = Outbox(restored: [], seed: 1)
        accept(&outbox, "1", "a")
        _ = outbox.wake(now: now)
        _ = outbox.failed("1", .unknownOutcome(reason: "lost"), posting: true, now: now)
        #expect(effects(outbox.wake(now: now.advanced(by: .seconds(2)))) == [.post(id: "1")])
    }

    /// Two messages of the same words: the first one in the log must not pass for the second.
    @Test func aPostRaisesTheFloorOfTheNext() {
        var outbox = Outbox(restored: [], seed: 1)
        accept(&outbox, "1", "ok", floor: 10)
        accept(&outbox, "2", "ok", floor: 10)
        _ = outbox.wake(now: now)
        let actions = outbox.posted("1", messageId: "m", sequence: 11, now: now)
        #expect(outbox.entry("2")?.floor == 11)
        // One commit: what is not in the outbox any more has its place kept.
        let changes = [StoreChange.note("posted/g/c", Array("11".utf8)), .outboxRemoved(id: "1")]
        #expect(actions.prefix(2) == [.store(changes[0]), .store(changes[1])])
    }

    @Test func oneThatWasRefusedDoesNotHideThePostBeforeIt() {
        var outbox = Outbox(restored: [], seed: 1)
        for id in ["1", "2", "3"] { accept(&outbox, id, "ok", floor: 10) }
        _ = outbox.wake(now: now)
        _ = outbox.posted("1", messageId: "m", sequence: 11, now: now)
        #expect(effects(outbox.refuse("2", now: now)) == [.post(id: "3")])
        #expect(outbox.entry("3")?.floor == 11)
    }

    /// A run posted above a gap of its inbox and ended; the next says the same, and the answer gets lost: what the first
    /// one posted must not pass for it, though the inbox knows nothing above the gap.
    @Test func aRunKnowsWhereTheOneBeforePosted() {
        var stored = StoredAccount()
        var before = Outbox(restored: [], seed: 1)
        accept(&before, "1", "ok", floor: 10)
        _ = before.wake(now: now)
        let actions = before.posted("1", messageId: "m", sequence: 15, now: now)
        for case .store(let change) in actions { stored.apply(change) }
        #expect(stored.outbox.isEmpty && stored.notes == before.notes)

        var outbox = Outbox(restored: stored.outbox, lastPosts: LastPosts(notes: stored.notes), seed: 1)
        #expect(outbox.notes == before.notes)
        accept(&outbox, "2", "ok", floor: 12)
        #expect(effects(outbox.wake(now: now)) == [.post(id: "2")])
        _ = outbox.failed("2", .unknownOutcome(reason: "lost"), posting: true, now: now)
        #expect(effects(outbox.wake(now: now.advanced(by: .seconds(2)))) == [.readBack(id: "2")])
        #expect(outbox.entry("2")?.floor == 15)
        // Its own place is above, and then the next one's floor.
        _ = outbox.posted("2", messageId: "n", sequence: 16, now: now)
        accept(&outbox, "3", "ok", floor: 12)
        #expect(outbox.entry("3")?.floor == 16)
    }

    @Test func aPositionThatNoLogHasIsNotKept() {
        var posts = LastPosts()
        let (change, next) = (posts.posted(.max, in: key), posts.posted(-2, in: key))
        #expect(change == nil && next == nil && posts.notes.isEmpty)
        let notes: [String: [UInt8]] = [
            "posted/g/c": Array("9223372036854775807".utf8), "posted/g": Array("1".utf8), "posted/g/d": [0xFF],
            "sub-discussion/g/c": Array("1".utf8), "posted/g/e/f": Array("7".utf8),
        ]
        posts = LastPosts(notes: notes)
        #expect(posts.notes == ["posted/g/e/f": Array("7".utf8)])
        #expect(posts.floor(3, in: ChannelKey(guild: "g", channel: "e/f")) == 7)
        #expect(posts.floor(nil, in: key) == nil)
    }

    @Test func whatARunBeforeMayHavePostedIsLookedForFirst() {
        let entry = OutboxEntry(id: "1", key: key, text: "a", media: [], replyTo: nil, floor: 3, order: 1)
        var outbox = Outbox(restored: [entry], seed: 1)
        #expect(outbox.wake(now: now) == [] && outbox.unconfirmed == ["1"], "the store may not have it yet")
        outbox.stored("1")
        #expect(effects(outbox.wake(now: now)) == [.readBack(id: "1")] && outbox.unconfirmed == [])
    }

    /// An instance that takes over while the store takes nothing: what the one before gave to it could be lost with both.
    @Test func whatTheRunBeforeLeftIsSentOnceTheStoreHasIt() {
        let entry = OutboxEntry(id: "1", key: key, text: "a", media: [], replyTo: nil, floor: nil, order: 1)
        var outgoing = Outgoing(settings: .init(), stored: StoredAccount(outbox: [entry]), seed: 1)
        var actions: [Outgoing.Action] = []
        outgoing.handle(.tick, now: now, &actions)
        #expect(actions == [.commit([], ticket: 1)])
        actions = []
        outgoing.handle(.tick, now: now, &actions)
        #expect(actions == [])
        outgoing.handle(.stored(1), now: now, &actions)
        #expect(actions == [.post("1")])
    }

    @Test func nothingIsSentBeforeItIsKept() {
        var outbox = Outbox(restored: [], seed: 1)
        outbox.accept(id: "1", key: key, text: "a", media: [], replyTo: nil, floor: nil)
        #expect(outbox.wake(now: now) == [])
        #expect(outbox.keep("1").count == 1)
        #expect(outbox.wake(now: now) == [], "given to the store is not stored")
        outbox.stored("1")
        #expect(outbox.wake(now: now) == [.post(id: "1")])
    }
}
