import Testing

@testable import FabricSimulator

@Suite struct DeliveryTests {
    private func outcomes(_ table: DeliveryTable, _ users: String...) -> [DeliveryOutcome] {
        users.map(table.outcome)
    }

    @Test func generalWakesAllOrOnlyTheMentioned() {
        var table = DeliveryTable(type: .general, author: "a")
        #expect(outcomes(table, "a", "b", "c") == [.observer, .wake, .wake])
        table.mentions = ["b"]
        #expect(outcomes(table, "a", "b", "c") == [.observer, .wake, .observer])
        table.echoesToAuthor = false
        #expect(outcomes(table, "a", "b") == [.skip, .wake])
    }

    @Test func dmAlwaysWakes() {
        let table = DeliveryTable(type: .dm, author: "a", mentions: ["c"])
        #expect(outcomes(table, "a", "b", "c") == [.observer, .wake, .wake])
    }

    @Test func reportAndAnnounceNeverWake() {
        #expect(
            outcomes(DeliveryTable(type: .report, author: "a", mentions: ["b"]), "b", "c") == [.observer, .observer])
        let announce = DeliveryTable(type: .announce, author: "a", mentions: ["b"], busy: ["c"])
        #expect(outcomes(announce, "b", "c") == [.observer, .skip])
    }

    @Test func customWakesListenersWhateverIsMentioned() {
        let table = DeliveryTable(type: .custom, author: "a", mentions: ["c"], listeners: ["b"])
        #expect(outcomes(table, "a", "b", "c") == [.observer, .wake, .observer])
    }

    @Test func triageSkipsBystandersAndTheAuthor() {
        let table = DeliveryTable(type: .triage, author: "a", mentions: ["m"], onDuty: ["d"], admin: "root")
        #expect(outcomes(table, "a", "d", "m", "root", "x") == [.skip, .wake, .wake, .observer, .skip])
    }

    @Test func systemPathWakesTheNamedOneOnly() {
        for type in ChannelType.allCases {
            let named = DeliveryTable(type: type, author: World.systemAuthor, system: .init(wakes: "b"))
            #expect(outcomes(named, "b", "c") == [.wake, .observer])
            #expect(DeliveryTable(type: type, author: "s", system: .init(wakes: nil)).outcome(for: "b") == .observer)
        }
    }

    @Test func mentionsAreNotReadInsideBackticks() {
        #expect(Mentions.users(in: "<@u1> and <@u2>, <@u1>") == ["u1", "u2"])
        #expect(Mentions.users(in: "`<@u1>` ``a ` <@u2>`` <@u3>") == ["u3"])
        #expect(Mentions.users(in: "a ` alone <@u1>") == ["u1"])
        #expect(Mentions.users(in: "<@> <@a b> <@") == [])
        let text = Mentions.rewritingNames(in: "<@user.name:Ann> `<@user.name:Ann>` <@user.name:Bob>") {
            $0 == "Ann" ? "u1" : nil
        }
        #expect(text == "<@u1> `<@user.name:Ann>` <@user.name:Bob>")
    }
}

@Suite struct TurnEngineTests {
    private var random = SeededGenerator(seed: 7)

    @Test mutating func rotationStartsWithTheNextAndOnlyTheSpeakerMovesIt() {
        var turns = TurnEngine(members: ["a", "b", "c"])
        #expect(turns.speaker == nil)
        turns.message(from: "a", mentions: [], using: &random)
        #expect(turns.speaker == "b")
        turns.message(from: "c", mentions: [], using: &random)
        #expect(turns.speaker == "b")
        turns.message(from: "b", mentions: [], using: &random)
        #expect(turns.speaker == "c")
    }

    @Test mutating func newRoundDoesNotBeginWithTheLastSpeaker() {
        for seed in 0..<50 {
            var generator = SeededGenerator(seed: UInt64(seed))
            var turns = TurnEngine(members: ["a", "b", "c"])
            turns.message(from: "a", mentions: [], using: &generator)
            turns.message(from: "b", mentions: [], using: &generator)
            turns.message(from: "c", mentions: [], using: &generator)
            #expect(turns.speaker != "c")
            #expect(Set(turns.order) == ["a", "b", "c"])
        }
    }

    @Test mutating func allSilentPausesTheRotation() {
        var turns = TurnEngine(members: ["a", "b"])
        turns.message(from: "a", mentions: [], using: &random)
        #expect(!turns.noReply(from: "a", using: &random))
        #expect(turns.noReply(from: "b", using: &random))
        // A new round never begins with the last who said something, so it is b's turn again.
        #expect(turns.speaker == "b")
        #expect(turns.noReply(from: "b", using: &random))
        #expect(turns.speaker == "a")
        #expect(turns.noReply(from: "a", using: &random))
        #expect(turns.speaker == nil)
        turns.message(from: "b", mentions: [], using: &random)
        #expect(turns.speaker == "a")
    }

    @Test mutating func mentionOpensASubRotationAndComesBack() {
        var turns = TurnEngine(members: ["a", "b", "c", "d"], bypass: ["z"])
        turns.message(from: "a", mentions: [], using: &random)
        turns.message(from: "b", mentions: ["z", "a", "b", "stranger"], using: &random)
        #expect(turns.speaker == "z")
        turns.message(from: "z", mentions: [], using: &random)
        #expect(turns.speaker == "a")
        #expect(turns.noReply(from: "a", using: &random))
        #expect(turns.speaker == "c")
    }

    @Test mutating func leavingSpeakerIsSucceeded() {
        var turns = TurnEngine(members: ["a", "b", "c"])
        turns.message(from: "a", mentions: [], using: &random)
        turns.remove("b")
        #expect(turns.speaker == "c")
        turns.remove("c")
        #expect(turns.speaker == "a")
        turns.remove("a")
        #expect(turns.speaker == nil)
    }

    @Test mutating func forceProceedPassesOver() {
        var turns = TurnEngine(members: ["a", "b", "c"])
        turns.forceProceed(using: &random)
        #expect(turns.speaker == nil)
        turns.message(from: "a", mentions: [], using: &random)
        turns.forceProceed(using: &random)
        #expect(turns.speaker == "c")
    }

    /// Whatever happens, a speaker is a member, and the order holds each member once.
    @Test func randomSchedulesKeepThePartition() {
        for seed in 0..<500 {
            var random = SeededGenerator(seed: UInt64(seed))
            var turns = TurnEngine(members: ["a", "b", "c", "d", "e"], bypass: ["e"])
            var members: Set<String> = ["a", "b", "c", "d", "e"]
            for _ in 0..<60 {
                let who = ["a", "b", "c", "d", "e"].randomElement(using: &random) ?? "a"
                switch Int.random(in: 0..<7, using: &random) {
                case 0: turns.forceProceed(using: &random)
                case 1: _ = turns.noReply(from: turns.speaker ?? who, using: &random)
                case 2:
                    turns.remove(who)
                    members.remove(who)
                case 3:
                    turns.add(who)
                    members.insert(who)
                default:
                    let other = members.randomElement(using: &random) ?? "a"
                    turns.message(from: turns.speaker ?? who, mentions: [other, who], using: &random)
                }
                #expect(turns.speaker.map(members.contains) ?? true)
                #expect((turns.order + turns.bypass).sorted() == members.sorted())
            }
        }
    }
}
