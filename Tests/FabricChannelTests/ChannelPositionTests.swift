import Testing

@testable import FabricChannel

@Suite struct ChannelPositionTests {
    /// The end of a read that must be complete.
    private func finish(
        _ position: inout ChannelPosition
    ) throws -> (ready: [ChannelPosition.Ready], next: ClosedRange<Int64>?) {
        guard case .complete(let ready, let next) = position.endOfRows() else {
            throw Unexpected()
        }
        return (ready, next)
    }

    private struct Unexpected: Error {}

    @Test func nextInOrderIsTakenIn() {
        var position = ChannelPosition(intake: 10)
        #expect(position.live(11) == .accept)
        #expect(position.live(12) == .accept)
        #expect(position.live(12) == .duplicate)
        #expect(position.live(3) == .duplicate)
        #expect(position.intake == 12)
    }

    @Test func aJumpReadsTheGapAndKeepsTheLiveMessagesBehindIt() throws {
        var position = ChannelPosition(intake: 10)
        #expect(position.live(13) == .hold(read: 11...13))
        position.hold(13, message: [1], wake: true)
        #expect(position.live(14) == .hold(read: nil))
        position.hold(14, message: [2], wake: false)
        #expect(position.live(14) == .duplicate)
        #expect(position.row(11) == .accept(held: nil))
        #expect(position.row(12) == .accept(held: nil))
        #expect(position.row(13) == .accept(held: .init(message: [1], wake: true)))
        let (ready, next) = try finish(&position)
        #expect(ready.map(\.sequence) == [14])
        #expect(next == nil)
        #expect(position.intake == 14)
    }

    @Test func aHistoryRowPrefersItsLiveVersion() {
        var position = ChannelPosition(intake: 0)
        #expect(position.catchUp(to: 3) == 1...3)
        #expect(position.live(2) == .hold(read: nil))
        position.hold(2, message: [9], wake: true)
        #expect(position.row(1) == .accept(held: nil))
        #expect(position.row(2) == .accept(held: .init(message: [9], wake: true)))
    }

    @Test func aPositionHistoryDidNotShowMayStillArrive() throws {
        var position = ChannelPosition(intake: 0)
        #expect(position.live(4) == .hold(read: 1...4))
        position.hold(4, message: [], wake: false)
        #expect(position.row(2) == .accept(held: nil))
        #expect(position.row(4) == .accept(held: .init(message: [], wake: false)))
        _ = try finish(&position)
        #expect(position.live(1) == .accept)
        #expect(position.live(1) == .duplicate)
        #expect(position.live(3) == .accept)
        #expect(position.live(2) == .duplicate)
    }

    @Test func aLongGapIsBoundedAndCounted() {
        var position = ChannelPosition(intake: 0, limits: .init(catchUp: 500))
        #expect(position.catchUp(to: 2000) == 1501...2000)
        #expect(position.skipped == 0, "nothing proves yet that there is anything to skip")
        #expect(position.row(1501) == .accept(held: nil))
        #expect(position.skipped == 1500)
    }

    /// What the socket brought is not history to skip.
    @Test func whatWasPostponedIsReadWholeHoweverLong() {
        var position = ChannelPosition(intake: 10, limits: .init(catchUp: 500))
        for sequence in Int64(11)...5010 { position.postpone(sequence, wake: false) }
        #expect(position.catchUp(to: 5010) == 11...5010)
        #expect(position.skipped == 0)
        _ = position.row(11)
        position.pauseReading()
        #expect(position.catchUp(to: 5010) == 12...5010, "going on with a read skips nothing either")
    }

    @Test func withNoCatchUpAtAllTheGapIsSkipped() {
        var position = ChannelPosition(intake: 0, limits: .init(catchUp: 0))
        #expect(position.catchUp(to: 5) == nil)
        #expect(position.intake == 5)
        #expect(position.live(9) == .accept)
        #expect(position.intake == 9)
        #expect(position.skipped == 8)
    }

    @Test func beyondTheLimitOnlyTheFlagIsKept() throws {
        var position = ChannelPosition(intake: 0, limits: .init(held: 1))
        #expect(position.live(2) == .hold(read: 1...2))
        position.hold(2, message: [2], wake: false)
        #expect(position.live(3) == .hold(read: nil))
        position.hold(3, message: [3], wake: true)
        #expect(position.row(1) == .accept(held: nil))
        #expect(position.row(2) == .accept(held: .init(message: [2], wake: false)))
        let (ready, next) = try finish(&position)
        #expect(ready.isEmpty)
        #expect(next == 3...3)
        #expect(position.row(3) == .accept(held: .init(message: nil, wake: true)))
    }

    @Test func ownPostsMoveThePositionOnlyWhenTheyAreNext() {
        var position = ChannelPosition(intake: 5)
        position.passOver(6)
        #expect(position.intake == 6)
        position.passOver(9)
        #expect(position.intake == 6)
        #expect(position.live(6) == .duplicate)
    }

    @Test func aLogThatWentBackIsFollowed() {
        var position = ChannelPosition(intake: 100)
        position.rewind(to: 7)
        #expect(position.live(8) == .accept)
    }

    /// A message held since before the log went back is delivered; the one that stands there now is read all the same.
    @Test func whatWasHeldBeforeALogWentBackHidesNothing() throws {
        var position = ChannelPosition(intake: 5)
        #expect(position.live(8, mark: 80) == .hold(read: 6...8))
        position.hold(8, message: [8], wake: false, mark: 80)
        position.rewind(to: 5)
        #expect(position.catchUp(to: 8) == 6...8)
        guard case .complete(let ready, _) = position.openGap() else { throw Unexpected() }
        #expect(ready.map(\.sequence) == [8])
        #expect(position.live(6, mark: 61) == .accept)
        #expect(position.live(7, mark: 71) == .accept)
        #expect(position.intake == 7)
        #expect(position.catchUp(to: 8) == 8...8)
        #expect(position.row(8, mark: 81) == .accept(held: nil))
        #expect(position.intake == 8)
    }

    /// A guild whose log goes back and claims to be longer than any, again and again: what is counted of it ends somewhere.
    @Test func whatIsSkippedNeverOverflows() throws {
        var position = ChannelPosition(intake: -1, limits: .init(catchUp: 0))
        for _ in 0..<1100 {
            #expect(position.live(ChannelPosition.valid.upperBound) == .accept)
            position.rewind(to: -1)
        }
        #expect(position.skipped == .max)
    }

    /// Two messages at one position above a gap are both delivered, and each of them once.
    @Test func neitherOfTwoAtOnePositionComesTwice() throws {
        var position = ChannelPosition(intake: 3)
        #expect(position.live(6, mark: 1) == .hold(read: 4...6))
        guard case .complete = position.openGap() else { throw Unexpected() }
        #expect(position.live(6, mark: 1) == .accept)
        #expect(position.live(6, mark: 2) == .accept)
        #expect(position.live(6, mark: 1) == .duplicate)
        #expect(position.live(6, mark: 2) == .duplicate)
    }

    /// A list that comes later than the first live message does not begin behind it.
    @Test func aChannelBeginsBeforeWhatTheSocketBrought() {
        var position = ChannelPosition(intake: nil)
        position.postpone(3, wake: true, mark: 1)
        position.begin(at: 4)
        #expect(position.intake == 2 && position.wakeups == [3])
        var restored = ChannelPosition(intake: nil, wakeups: [6])
        restored.begin(at: 9)
        #expect(restored.intake == 5)
    }

    /// A position that was claimed and never existed costs no genuine message.
    @Test func aClaimThatNobodyProvesIsDeliveredAndNotBelieved() {
        var position = ChannelPosition(intake: 3)
        #expect(position.live(600, mark: 1) == .hold(read: 101...600))
        position.hold(600, message: [6], wake: false, mark: 1)
        #expect(position.endOfRows() == .short(101...600))
        guard case .complete(let ready, let next) = position.giveUp(head: 3) else {
            Issue.record("not complete")
            return
        }
        #expect(ready.map(\.sequence) == [600] && next == nil)
        #expect(position.intake == 3)
        for sequence in Int64(4)...599 { #expect(position.live(sequence, mark: 2) == .accept) }
        #expect(position.live(600, mark: 1) == .duplicate)
        #expect(position.live(600, mark: 3) == .accept, "the genuine one")
        #expect(position.live(601, mark: 4) == .accept)
    }

    /// History that does not answer: what comes goes on, and the gap is read when it can be.
    @Test func anOpenGapIsClosedLater() throws {
        var position = ChannelPosition(intake: 0)
        #expect(position.live(3, mark: 3) == .hold(read: 1...3))
        position.hold(3, message: [3], wake: false, mark: 3)
        guard case .complete(let ready, _) = position.openGap() else {
            Issue.record("not complete")
            return
        }
        #expect(ready.map(\.sequence) == [3])
        #expect(position.live(4, mark: 4) == .accept)
        #expect(position.takenAhead == [3, 4])
        #expect(position.catchUp(to: 4) == 1...4)
        #expect(position.row(1, mark: 1) == .accept(held: nil))
        #expect(position.row(2, mark: 2) == .accept(held: nil))
        #expect(position.row(3, mark: 3) == .duplicate)
        #expect(position.row(4, mark: 4) == .duplicate)
        _ = try finish(&position)
        #expect(position.intake == 4 && !position.isOpen && position.takenAhead.isEmpty)
        #expect(position.live(5) == .accept)
    }

    @Test func positionsAtTheEdgesOfWhatIsValidDoNotTrap() {
        let edges = [ChannelPosition.valid.lowerBound, 0, 1, ChannelPosition.valid.upperBound]
        for first in edges {
            for second in edges {
                for third in edges {
                    var position = ChannelPosition(intake: first)
                    for sequence in [second, third] {
                        if case .hold = position.live(sequence, mark: 9) {
                            position.hold(sequence, message: [], wake: true, mark: 9)
                        }
                        position.passOver(sequence)
                        _ = position.row(sequence, mark: 9)
                    }
                    _ = position.endOfRows()
                    _ = position.giveUp(head: third)
                    _ = position.catchUp(to: second)
                    _ = position.openGap()
                }
            }
        }
        _ = ChannelPosition(intake: .max, wakeups: [.min, .max], ahead: [.min, .max])
    }
}
