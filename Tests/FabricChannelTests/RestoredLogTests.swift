import ChannelStore
import FabricAPI
import JSONBytes
import Testing

@testable import FabricChannel

@Suite struct RestoredLogTests {
    private static func reads(_ actions: [GuildFeed.Action]) -> [ClosedRange<Int64>] {
        actions.compactMap { if case .read(_, _, let range) = $0 { range } else { nil } }
    }

    private static func list(
        _ head: Int64, _ purpose: GuildFeed.ListPurpose, in feed: inout GuildFeed
    ) -> [GuildFeed.Action] {
        feed.listed(
            [ListedChannel(id: "c", name: "c", type: .report, lastSeq: head, closed: false)], purpose: purpose,
            epoch: feed.epoch, date: 1.774e9, now: .now, wall: 1.774e9)
    }

    /// A log that went back, in a channel of which no time is known: what lies above the lowest head that a list had is new,
    /// also when it was posted before the second list.
    @Test func whatCameWhileALogSeemedBehindIsRead() {
        var feed = GuildFeed(
            settings: .init(), restored: ["c": RestoredChannel(cursor: 7)], listedAt: 1.773e9, seed: 1)
        _ = feed.connected()
        _ = Self.list(3, .proof, in: &feed)
        _ = feed.joinsEnded([0], answered: 1, epoch: feed.epoch, now: .now)
        #expect(!Self.list(3, .heads, in: &feed).contains(.report(.rewound(channel: "c", from: 7, to: 3))))
        _ = Self.list(4, .sync, in: &feed)
        let actions = Self.list(4, .sync, in: &feed)
        #expect(actions.contains(.report(.rewound(channel: "c", from: 7, to: 4))))
        #expect(Self.reads(actions) == [4...4])
    }

    /// A guild tells its time in whole seconds: that a channel began at its head in this one says nothing of a message that
    /// was taken in since, and nothing of what follows that one.
    @Test func whatComesWithinTheSecondOfAFirstStartIsOfTheNewLog() throws {
        var feed = GuildFeed(settings: .init(), restored: [:], listedAt: nil, seed: 1)
        _ = feed.connected()
        _ = Self.list(3, .proof, in: &feed)
        _ = feed.joinsEnded([0], answered: 1, epoch: feed.epoch, now: .now)
        _ = Self.list(3, .heads, in: &feed)
        let began = try #require(feed.slots[0].newestKnown)
        #expect(began > 1.774e9, "nothing was taken in: all of that second may be from before")
        Array("1774000000250".utf8).withUnsafeBytes { time in
            feed.slots[0].newest.advance(to: JSONView(validated: time, start: 0, end: time.count))
        }
        #expect(feed.slots[0].newestKnown == 1.774e9 + 0.25)
    }

    /// Of a channel whose beginning is looked for nobody can say how much of what is skipped is a loss, until the first row
    /// behind it is news.
    @Test(arguments: [true, false]) func whatIsSkippedBeforeNewsIsSaid(isNews: Bool) {
        var settings = GuildFeed.Settings()
        settings.limits.catchUp = 1
        var feed = GuildFeed(
            settings: settings, restored: ["c": RestoredChannel(cursor: -1, notBefore: 1.773e9)], listedAt: 1.773e9,
            seed: 1)
        let channel = ListedChannel(id: "c", name: "c", type: .report, lastSeq: 20, closed: false)
        _ = feed.connected()
        _ = feed.listed([channel], purpose: .proof, epoch: feed.epoch, date: nil, now: .now, wall: 1.774e9)
        _ = feed.joinsEnded([0], answered: 1, epoch: feed.epoch, now: .now)
        let actions = feed.listed([channel], purpose: .heads, epoch: feed.epoch, date: nil, now: .now, wall: 1.774e9)
        #expect(Self.reads(actions) == [20...20])
        #expect(feed.slots[0].position.row(20) == .accept(held: nil))
        #expect(
            feed.sawBeginning(0, isNews: isNews) == (isNews ? [.report(.skipped(channel: "c", count: 20))] : []))
        #expect(feed.sawBeginning(0, isNews: true) == [])
    }

    /// A list that is made before the newest messages were posted shows their log behind them: read again, they are marked.
    @Test func whatAnOldListTookBackMayHaveBeenDelivered() {
        var feed = GuildFeed(
            settings: .init(), restored: ["c": RestoredChannel(cursor: 7, newest: 1.7735e9)], listedAt: 1.773e9, seed: 1
        )
        _ = feed.connected()
        _ = Self.list(3, .proof, in: &feed)
        _ = feed.joinsEnded([0], answered: 1, epoch: feed.epoch, now: .now)
        #expect(!feed.slots[0].isOfOldLog(7, 1.7735e9))
        _ = Self.list(3, .sync, in: &feed)
        #expect(Self.list(3, .sync, in: &feed).contains(.report(.rewound(channel: "c", from: 7, to: 3))))
        #expect(feed.slots[0].isOfOldLog(7, 1.7735e9))
        #expect(!feed.slots[0].isOfOldLog(7, 1.7736e9))
        #expect(!feed.slots[0].isOfOldLog(8, 1.7735e9))
    }

    /// After a run that ended badly nothing is certain while the log is shorter than our position: it may be another one.
    @Test func aShorterLogLeavesDoubt() {
        var feed = GuildFeed(
            settings: .init(), restored: ["c": RestoredChannel(cursor: 7)], listedAt: 1.773e9, isUncertain: true,
            seed: 1)
        _ = feed.connected()
        _ = Self.list(4, .proof, in: &feed)
        _ = feed.joinsEnded([0], answered: 1, epoch: feed.epoch, now: .now)
        _ = Self.list(4, .heads, in: &feed)
        #expect(feed.isStillUncertain)
        _ = Self.list(7, .sync, in: &feed)
        #expect(!feed.isStillUncertain)
    }

    /// Deliveries of a channel are kept, but no position: the agent left it, and came back while nobody listened. The first live
    /// message need not be the first since.
    @Test func aChannelThatOneCameBackToIsReadFromWhereOneLeft() {
        var feed = GuildFeed(settings: .init(), restored: [:], listedAt: 1.773e9, seed: 1)
        let slot = feed.restore("c")
        let message = Array(#"{"messageId":"m","seq":10,"channelId":"c","createdAt":1773000500000}"#.utf8)
        message.withUnsafeBytes { text in
            guard let view = FabricMessageView(JSONView(validated: text, start: 0, end: text.count)) else {
                Issue.record("no message")
                return
            }
            guard case .not(.hold(let range)) = feed.slots[slot].takeLive(10, view, isStoreGood: true) else {
                Issue.record("taken in")
                return
            }
            #expect(range == 0...10)
        }
        #expect(feed.slots[slot].notBefore == 1.773e9 - 5)
    }

    /// Events that are reordered behind the agent's leaving bring its channel back. The guild refuses its history then, and
    /// lists that lack it take it out, though the socket brought something of it.
    @Test func aChannelThatLateEventsBroughtBackGoes() {
        var feed = GuildFeed(settings: .init(), restored: [:], listedAt: 1.773e9, seed: 1)
        func list(_ purpose: GuildFeed.ListPurpose) -> [GuildFeed.Action] {
            feed.listed(
                [ListedChannel(id: "other", name: "other", type: .general, lastSeq: 3, closed: false)],
                purpose: purpose, epoch: feed.epoch, date: 1.774e9, now: .now, wall: 1.774e9)
        }
        _ = feed.connected()
        _ = list(.proof)
        _ = feed.joinsEnded([0], answered: 1, epoch: feed.epoch, now: .now)
        _ = list(.heads)
        _ = feed.channelJoined("gone", type: .general, occurredAt: 1.774e9, wall: 1.774e9)
        let slot = feed.slot(of: "gone") ?? -1
        feed.slots[slot].broughtSinceList = true
        feed.slots[slot].position.wanted(5)
        _ = feed.slots[slot].position.live(5)
        _ = list(.sync)
        #expect(feed.slots[slot].isProven, "the socket brings it: it may be one that no list shows")
        for _ in 1...3 { _ = list(.sync) }
        #expect(feed.slot(of: "gone") != nil)
        #expect(feed.slots[slot].position.reading != nil)
        _ = feed.readFailed(slot, isFinal: true, reason: "404", now: .now)
        for _ in 1...2 { _ = list(.sync) }
        #expect(feed.slot(of: "gone") != nil, "a list may be older than what brought it, and one may be wrong")
        let actions = list(.sync)
        #expect(actions.contains(.forget(channel: "gone")))
        #expect(feed.slot(of: "gone") == nil)
    }

    /// A channel that a list shows empty begins there, also where no list had said that before: what is skipped of it is said.
    @Test func whatIsSkippedBehindAnEmptyBeginningIsSaid() {
        var settings = GuildFeed.Settings()
        settings.limits.catchUp = 0
        var feed = GuildFeed(
            settings: settings, restored: ["c": RestoredChannel(cursor: -1, notBefore: 1.773e9)], listedAt: 1.773e9,
            seed: 1)
        _ = feed.connected()
        _ = Self.list(-1, .proof, in: &feed)
        _ = feed.joinsEnded([0], answered: 1, epoch: feed.epoch, now: .now)
        _ = Self.list(-1, .heads, in: &feed)
        #expect(feed.slots[0].notBefore == nil && feed.slots[0].cursorDirty)
        _ = Self.list(2, .sync, in: &feed)
        #expect(Self.list(2, .sync, in: &feed).contains(.report(.skipped(channel: "c", count: 3))))
    }

    /// Our own message is from after the agent came in, like everything that was skipped since.
    @Test func whatIsSkippedBeforeOurOwnMessageIsSaid() {
        var settings = Inbox.Settings()
        settings.feed.limits.catchUp = 1
        let key = RotationTests.Stage.key
        var stage = RotationTests.Stage(
            .general, settings: settings,
            stored: StoredAccount(
                cursors: [key: 3], logs: [key: StoredLog(era: 0, notBefore: 1.773e9)], listedAt: ["g": 1.773e9]))
        for author in ["u-1", "u-1", "u-me"] { stage.post(author) }
        stage.connect()
        #expect(stage.inbox.signs(of: 0).skipped == 2)
        #expect(stage.delivered == [])
    }
}
