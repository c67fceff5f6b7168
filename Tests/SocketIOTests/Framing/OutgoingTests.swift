import Testing

@testable import SocketIO

struct OutgoingTests {
    /// The frames in what a client wrote: opcode and unmasked payload.
    func read(_ bytes: [UInt8]) -> [(UInt8, [UInt8])] {
        var found: [(UInt8, [UInt8])] = []
        var at = 0
        while at < bytes.count {
            let opcode = bytes[at] & 15
            #expect(bytes[at] & 0xF0 == 0x80)
            #expect(bytes[at + 1] & 0x80 == 0x80)
            var length = Int(bytes[at + 1] & 127)
            at += 2
            let wide = length == 126 ? 2 : length == 127 ? 8 : 0
            if wide > 0 {
                length = bytes[at..<at + wide].reduce(0) { $0 << 8 | Int($1) }
                at += wide
            }
            let mask = Array(bytes[at..<at + 4])
            at += 4
            found.append((opcode, bytes[at..<at + length].enumerated().map { $1 ^ mask[$0 % 4] }))
            at += length
        }
        return found
    }

    @Test(arguments: [0, 1, 7, 8, 9, 125, 126, 127, 65_535, 65_536, 100_003])
    func framesAreMaskedAndComplete(_ size: Int) {
        var dice = SeededRandom(UInt64(size))
        let payload = (0..<size).map { _ in UInt8.random(in: 0...255, using: &dice) }
        var outgoing = OutgoingFrames()
        for (opcode, mask) in [(OutgoingFrames.text, 0x0102_0304), (OutgoingFrames.binary, UInt32.max)] {
            payload.withUnsafeBytes { outgoing.add(opcode, $0, mask: mask) }
        }
        let found = read(outgoing.withBytes { Array($0) })
        #expect(found.map(\.0) == [1, 2])
        #expect(found.allSatisfy { $0.1 == payload })
        #expect(outgoing.count == outgoing.withBytes { $0.count })
    }

    @Test func whatIsWrittenLeaves() {
        var outgoing = OutgoingFrames()
        var written: [UInt8] = []
        var dice = SeededRandom(5)
        var sent: [[UInt8]] = []
        for number in 0..<2000 {
            let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: number)
            sent.append(payload)
            payload.withUnsafeBytes { outgoing.add(OutgoingFrames.binary, $0, mask: UInt32(number)) }
            let part = Int.random(in: 0...outgoing.count, using: &dice)
            written += outgoing.withBytes { Array($0.prefix(part)) }
            outgoing.wrote(part)
        }
        written += outgoing.withBytes { Array($0) }
        outgoing.wrote(outgoing.count)
        #expect(outgoing.count == 0)
        #expect(read(written).map(\.1) == sent)
    }

    @Test func aFloodIsTold() {
        var gate = FloodGate()
        let start = ContinuousClock.now
        // An hour of a ping every 200 ms.
        let honest = (0..<18_000).filter { gate.admits(at: start.advanced(by: .milliseconds(200 * $0))) }.count
        #expect(honest == 18_000)
        let then = start.advanced(by: .seconds(3600))
        let admitted = (0..<10_000).filter { gate.admits(at: then.advanced(by: .microseconds($0))) }.count
        #expect((200...300).contains(admitted))
        let later = gate.admits(at: then.advanced(by: .seconds(2)))
        #expect(later)
        // A clock that stands still, or goes back, fills nothing.
        var still = FloodGate()
        let all = (0..<10_000).filter { _ in still.admits(at: start) }.count
        #expect(all < 300)
        let earlier = still.admits(at: start.advanced(by: .seconds(-10_000)))
        #expect(!earlier)
    }
}
