import Testing

@testable import FabricChannel

@Suite struct ChannelPositionTests {
    @Test func nextInOrderIsTakenIn() {
        var position = ChannelPosition(intake: 10)
        #expect(position.live(11) == .accept)
        #expect(position.live(12) == .accept)
        #expect(position.live(12) == .duplicate)
        #expect(position.live(3) == .duplicate)
        #expect(position.intake == 12)
    }

    @Test func aJumpReadsTheGapAndKeepsTheLiveMessagesBehindIt() {
        var position = ChannelPosition(intake: 10)
        #expect(position.live(13) == .hold(read: 11...12))
        position.hold(13, message: [1], wake: true)
        #expect(position.live(14) == .hold(read: nil))
        position.hold(14, message: [2], wake: false)
        #expect(position.live(14) == .duplicate)
        #expect(position.row(11) == .accept(held: nil))
        #expect(position.row(12) == .accept(held: nil))
        let (ready, next) = position.finishReading()
        #expect(ready.map(\.sequence) == [13, 14])
        #expect(ready.first?.held.wake == true)
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

    @Test func aPositionHistoryDidNotShowMayStillArrive() {
        var position = ChannelPosition(intake: 0)
        #expect(position.live(4) == .hold(read: 1...3))
        position.hold(4, message: [], wake: false)
        #expect(position.row(2) == .accept(held: nil))
        _ = position.finishReading()
        #expect(position.live(1) == .accept)
        #expect(position.live(1) == .duplicate)
        #expect(position.live(3) == .accept)
        #expect(position.live(2) == .duplicate)
    }

    @Test func aLongGapIsBoundedAndCounted() {
        var position = ChannelPosition(intake: 0, limits: .init(catchUp: 500))
        #expect(position.catchUp(to: 2000) == 1501...2000)
        #expect(position.skipped == 1500)
    }

    @Test func beyondTheLimitOnlyTheFlagIsKept() {
        var position = ChannelPosition(intake: 0, limits: .init(held: 1))
        #expect(position.live(2) == .hold(read: 1...1))
        position.hold(2, message: [2], wake: false)
        #expect(position.live(3) == .hold(read: nil))
        position.hold(3, message: [3], wake: true)
        #expect(position.row(1) == .accept(held: nil))
        let (ready, next) = position.finishReading()
        #expect(ready.map(\.sequence) == [2])
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
}
