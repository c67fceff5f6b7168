import ChannelStore
import FabricAPI
import Testing

@testable import FabricChannel

@Suite struct AttachmentNameTests {
    @Test(arguments: [
        ("../../etc/passwd", "passwd"), ("/etc/shadow", "shadow"), ("", "attachment"), ("..", "attachment"),
        (".", "attachment"), ("...", "attachment"), ("a\u{0}b\u{1F}\n.txt", "ab.txt"), (".bashrc", "bashrc"),
        ("C:\\Windows\\system32\\cmd.exe", "cmd.exe"), ("blue.png", "blue.png"), ("-rf", "rf"),
        ("evil\u{202E}gnp.exe", "evilgnp.exe"), ("a\u{2215}b", "a_b"), ("\u{FF0E}\u{FF0E}\u{FF0F}x", "．．_x"),
        ("Übergrößenträger 日本.pdf", "Übergrößenträger 日本.pdf"), ("dir/", "dir"), ("a:b|c?.txt", "a_b_c_.txt"),
    ])
    func isSafe(_ name: String, _ expected: String) {
        #expect(AttachmentName.safe(name) == expected)
    }

    @Test func lengthIsBoundedWithTheExtensionKept() {
        let name = AttachmentName.safe(String(repeating: "x", count: 5000) + ".png")
        #expect(name.utf8.count <= 200 && name.hasSuffix(".png"))
        let wide = AttachmentName.safe(String(repeating: "日", count: 5000))
        #expect(wide.utf8.count <= 200 && !wide.isEmpty)
    }

    @Test func namesThatDifferOnlyInCaseStayApart() {
        #expect(AttachmentName.unique("A.png", taken: ["a.png"]) == "A-2.png")
        #expect(AttachmentName.unique("b", taken: ["b", "b-2"]) == "b-3")
    }
}

@Suite struct MediaTypeSnifferTests {
    @Test func bytesDecide() {
        #expect(MediaTypeSniffer.sniff([0x89, 0x50, 0x4E, 0x47, 13, 10, 26, 10], claimed: "text/html") == "image/png")
        #expect(MediaTypeSniffer.sniff(Array("%PDF-1.7".utf8), claimed: nil) == "application/pdf")
        #expect(MediaTypeSniffer.sniff(Array("hello".utf8), claimed: nil) == "text/plain")
        #expect(MediaTypeSniffer.sniff(Array("hello".utf8), claimed: "text/markdown; charset=utf-8") == "text/markdown")
        #expect(MediaTypeSniffer.sniff(Array("hello".utf8), claimed: "image/png") == "text/plain")
        #expect(MediaTypeSniffer.sniff([0, 1, 2], claimed: "image/png") == "application/octet-stream")
        #expect(MediaTypeSniffer.sniff([0, 1, 2], claimed: "nonsense\r\nX: y") == "application/octet-stream")
        #expect(MediaTypeSniffer.sniff([], claimed: nil) == "application/octet-stream")
    }
}

@Suite struct WakeRuleTests {
    @Test func historyInfersWhatTheRulesAllow() {
        let plain = WakeRule.Evidence(mentionsAgent: false, mentionsAnyone: false, fromSystem: false)
        let mentioned = WakeRule.Evidence(mentionsAgent: true, mentionsAnyone: true, fromSystem: false)
        let other = WakeRule.Evidence(mentionsAgent: false, mentionsAnyone: true, fromSystem: false)
        let system = WakeRule.Evidence(mentionsAgent: false, mentionsAnyone: false, fromSystem: true)
        #expect(WakeRule.history(.dm, evidence: other, infer: true) == .wake)
        #expect(WakeRule.history(.general, evidence: plain, infer: true) == .wake)
        #expect(WakeRule.history(.general, evidence: mentioned, infer: true) == .wake)
        #expect(WakeRule.history(.general, evidence: other, infer: true) == .record)
        #expect(WakeRule.history(.general, evidence: system, infer: true) == .record)
        for type in [FabricChannelType.discuss, .work] {
            #expect(WakeRule.history(type, evidence: plain, infer: true) == .record)
            #expect(WakeRule.history(type, evidence: mentioned, infer: true) == .wake)
        }
        #expect(WakeRule.history(.triage, evidence: plain, infer: true) == .ignore)
        #expect(WakeRule.history(.report, evidence: mentioned, infer: true) == .record)
        #expect(WakeRule.history(.dm, evidence: plain, infer: false) == .record)
    }

    @Test func liveMessagesFollowTheGuild() {
        #expect(WakeRule.live(.dm, wakeup: false) == .wake)
        #expect(WakeRule.live(.report, wakeup: true) == .wake)
        #expect(WakeRule.live(.general, wakeup: false) == .record)
        #expect(WakeRule.live(.triage, wakeup: false) == .ignore)
    }
}

@Suite struct OutboundTargetTests {
    @Test func theGrammar() {
        #expect(OutboundTarget("fabric:g1/c1")?.guild == "g1")
        #expect(OutboundTarget("fabric:g/1/c1")?.guild == "g/1")
        #expect(OutboundTarget("fabric:c1")?.guild == nil)
        for (text, guild, name) in [
            ("#general", nil, "general"), ("fabric:#a b/c", nil, "a b/c"), ("fabric:g1/#x", "g1", "x"),
            ("My guild/#x", "My guild", "x"), ("fabric:g/1/##", "g/1", "#"),
        ] as [(String, String?, String)] {
            let target = OutboundTarget(text)
            #expect(target?.guild == guild && target?.channel == name && target?.isName == true, "\(text)")
        }
        for bad in ["#", "fabric:#", "fabric:/#x", "#a\nb", "g/#", "g/c"] { #expect(OutboundTarget(bad) == nil) }
        for bad in ["", "c1", "fabric:", "fabric:/c1", "fabric:g/", "fabric:a b", "fabric:g/c?x", "fabric:g/%2e"] {
            #expect(OutboundTarget(bad) == nil)
        }
    }
}

@Suite struct LaneTests {
    private func message(_ id: String, wake: Bool) -> PendingMessage {
        PendingMessage(id: id, sequence: nil, wake: wake, caughtUp: false, redelivered: false, message: [])
    }

    @Test func aTurnHoldsItsLaneUntilItEnds() {
        var lane = Lane()
        lane.enqueue(message("1", wake: true))
        lane.enqueue(message("2", wake: false))
        #expect(lane.next()?.message.id == "1")
        lane.begin("1")
        #expect(lane.next() == nil)
        #expect(lane.end("other") == false)
        #expect(lane.end("1") == true)
        #expect(lane.end("1") == false)
        #expect(lane.next()?.message.id == "2")
        #expect(lane.isEmpty)
    }

    @Test func aLaneOfManyKeepsOrder() {
        var lane = Lane()
        for number in 0..<1000 { lane.enqueue(message("\(number)", wake: false)) }
        for number in 0..<1000 { #expect(lane.next()?.message.id == "\(number)") }
        #expect(lane.next() == nil && lane.waitingCount == 0)
    }
}

@Suite struct RecentIDsTests {
    @Test func theOldestIsForgottenFirst() {
        var ids = RecentIDs(limit: 3)
        let first = ["a", "b", "c"].map { ids.insert($0, in: "x") }
        #expect(first == [true, true, true])
        let again = ["a", "b", "c"].map { ids.insert($0, in: "x") }
        #expect(again == [false, false, false])
        let other = ids.insert("a", in: "y")
        #expect(other, "the same id in another channel is another message")
        let forgotten = ids.insert("a", in: "x")
        #expect(forgotten)
    }
}

@Suite struct TurnRepliesTests {
    @Test func segmentsBecomeOneMessagePerChannel() {
        var replies = TurnReplies()
        let a = ChannelKey(guild: "g", channel: "a")
        let b = ChannelKey(guild: "g", channel: "b")
        replies.add(delivery: "d", key: a, text: "one", media: [], replyTo: nil, request: 1)
        replies.add(delivery: "d", key: b, text: "other", media: [], replyTo: nil, request: 2)
        replies.add(delivery: "d", key: a, text: "two", media: [], replyTo: "m", request: 3)
        let ended = replies.end("d")
        #expect(ended.map(\.texts) == [["one", "two"], ["other"]])
        #expect(ended.map(\.requests) == [[1, 3], [2]])
        let again = replies.end("d")
        #expect(again.isEmpty)
    }
}

@Suite struct AccountLifeTests {
    @Test func theStateIsDerived() {
        var life = AccountLife()
        #expect(life.lifecycle == .stopped)
        life.started(keptUser: nil)
        #expect(life.lifecycle == .starting)
        life.settle(guilds: 2, ready: 1, away: [1], storeProblem: nil)
        #expect(!life.connected)
        life.settle(guilds: 2, ready: 2, away: [], storeProblem: nil)
        #expect(life.lifecycle == .ready && life.connected && life.reason.isEmpty)
        life.guildFailed(1, "g", "gone")
        life.settle(guilds: 2, ready: 1, away: [1], storeProblem: nil)
        #expect(life.lifecycle == .recovering && life.reason == "guild g: gone")
        life.settle(guilds: 2, ready: 1, away: [1], storeProblem: "disk full")
        #expect(life.reason == "nothing can be recorded, so nothing is taken in: disk full")
        _ = life.block("refused")
        #expect(life.lifecycle == .blocked && !life.connected && life.reason == "refused")
        life.stopped()
        #expect(life.lifecycle == .blocked)
    }

    /// The first reason of a block stays, and what lifts it says so once.
    @Test func aBlockIsToldOnce() {
        var life = AccountLife()
        life.started(keptUser: nil)
        let blocks = [life.block("one"), life.block("two")]
        #expect(blocks == [true, false] && life.blocked == "one")
        let lifts = [life.unblock(), life.unblock()]
        #expect(lifts == [true, false] && life.blocked == nil)
        _ = life.block("one")
        life.sessionBegan([])
        #expect(life.blocked == nil && life.hasSession)
    }

    /// What one guild says does not hide what is wrong with another, and what was wrong with one that is connected or gone
    /// is forgotten.
    @Test func everyGuildHasItsProblem() {
        var life = AccountLife()
        life.started(keptUser: nil)
        life.settle(guilds: 2, ready: 0, away: [0, 1], storeProblem: nil)
        let failures = [
            life.guildFailed(1, "g", "gone"), life.guildFailed(0, "f", "its address cannot be used"),
            life.guildFailed(1, "g", "gone"), life.guildFailed(1, "g", "gone again"),
        ]
        #expect(failures == [true, true, false, true])
        #expect(life.reason == "guild f: its address cannot be used")
        life.nothingWrong(with: 0)
        #expect(life.reason == "guild g: gone again")
        life.settle(guilds: 1, ready: 0, away: [0], storeProblem: nil)
        #expect(life.reason == "connecting")
    }

    @Test func noGuildIsNotConnected() {
        var life = AccountLife()
        life.started(keptUser: nil)
        life.sessionBegan([])
        #expect(!life.connected && life.reason.contains("no guild"))
        life.loginFailed("Center is away")
        #expect(life.reason == "Center is away")
        life.loginsRecovered()
        #expect(life.reason.contains("no guild"))
    }

    @Test func aUserIsKeptOnce() {
        var life = AccountLife()
        life.started(keptUser: "u-1")
        let news = [life.isNewUser("u-1"), life.isNewUser("u-2"), life.isNewUser("u-2")]
        #expect(news == [false, true, false])
    }
}

@Suite struct TokenDoubtTests {
    @Test func aGuildThatRefusesEveryTokenIsBelievedEverLonger() {
        var doubt = TokenDoubt()
        var now = ContinuousClock.now
        #expect(doubt.mayRenew(now: now))
        var pauses: [Int64] = []
        for _ in 0..<6 {
            doubt.refusedAgain(now: now)
            var seconds: Int64 = 0
            while !doubt.mayRenew(now: now) {
                now = now.advanced(by: .seconds(1))
                seconds += 1
            }
            pauses.append(seconds)
        }
        #expect(pauses == [60, 120, 240, 480, 900, 900])
        doubt.renewalHelped()
        #expect(doubt.mayRenew(now: now) && doubt == TokenDoubt())
    }
}

@Suite struct JoinPatienceTests {
    /// Found out once, and from then on a guild that acknowledges no join is ready soon; the first that it does is waited for
    /// again.
    @Test func aGuildThatAcknowledgesNoJoinIsWaitedForLess() {
        var feed = GuildFeed(settings: .init(), restored: [:], listedAt: nil, seed: 1)
        let channel = ListedChannel(id: "c", name: "c", type: .report, lastSeq: 0, closed: false)
        var patience: [Duration] = []
        for answered in [0, 0, 1, 1] {
            _ = feed.askedForToken()
            _ = feed.connecting()
            _ = feed.connected()
            let actions = feed.listed(
                [channel], purpose: .proof, epoch: feed.epoch, date: nil, now: .now, wall: 0)
            for case .join(let slots, let epoch, let timeout) in actions {
                patience.append(timeout)
                _ = feed.joinsEnded(slots, answered: answered, epoch: epoch, now: .now)
            }
            _ = feed.disconnected(stopped: false)
        }
        #expect(patience == [.seconds(2), .milliseconds(500), .milliseconds(500), .seconds(2)])
    }
}

@Suite struct StoreHealthTests {
    /// A list that came while nothing could be kept showed a message that the socket did not bring: it is read as soon as
    /// something can be kept again, not when the next message comes.
    @Test func aGapSeenWhileNothingCouldBeKeptIsReadAfterwards() {
        let key = ChannelKey(guild: "g", channel: "c")
        var actions: [Inbox.Action] = []
        let start = ContinuousClock.now
        var instant = start
        var moment: Inbox.Moment { Inbox.Moment(instant: instant, wall: 1.774e9) }
        var inbox = Inbox(
            account: "me", settings: Inbox.Settings(),
            stored: StoredAccount(cursors: [key: 10], listedAt: ["g": 1.773e9]),
            isHandover: false, mediaRoot: "/m", agents: AgentDirectory(), seed: 1, now: moment, &actions)
        /// Lets the inbox hear of it, answers lists and joins, and returns the ranges of history that are to be read.
        func handle(_ event: Inbox.Event, head: Int64) -> [ClosedRange<Int64>] {
            inbox.handle(event, now: moment, &actions)
            var ranges: [ClosedRange<Int64>] = []
            while !actions.isEmpty {
                let decided = actions
                actions = []
                for action in decided {
                    switch action {
                    case .list(let guild, let purpose, let epoch):
                        let list = [ListedChannel(id: "c", name: "c", type: .general, lastSeq: head, closed: false)]
                        inbox.handle(.listed(guild, list, purpose, epoch: epoch), now: moment, &actions)
                    case .join(let guild, let slots, _, let epoch, _):
                        inbox.handle(.joinsEnded(guild, slots, answered: 1, epoch: epoch), now: moment, &actions)
                    case .readHistory(_, _, _, _, let range): ranges.append(range)
                    default: break
                    }
                }
            }
            return ranges
        }
        #expect(handle(.storeHealth(isGood: false), head: 10).isEmpty)
        for event in [Inbox.Event.session(user: "u", guilds: ["g"]), .askedForToken(0), .connecting(0), .connected(0)] {
            #expect(handle(event, head: 11).isEmpty)
        }
        var ranges = handle(.storeHealth(isGood: true), head: 11)
        while ranges.isEmpty, instant < start.advanced(by: .seconds(5)) {
            instant = instant.advanced(by: .milliseconds(100))
            ranges = handle(.tick, head: 11)
        }
        #expect(ranges.first?.upperBound == 11)
    }
}
