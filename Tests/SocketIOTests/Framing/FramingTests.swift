import Testing

@testable import SocketIO

/// What a framing said, with its own copy of the bytes.
enum Told: Equatable {
    case message([UInt8], isBinary: Bool)
    case ping([UInt8])
    case pong
    case close(UInt16?, String)
    case violation(WebSocketViolation)
    case tooLarge

    init(_ event: WebSocketFraming.Event) {
        switch event {
        case .message(let bytes, let isBinary): self = .message(Array(bytes), isBinary: isBinary)
        case .ping(let bytes): self = .ping(Array(bytes))
        case .pong: self = .pong
        case .close(let code, let reason): self = .close(code, String(decoding: reason, as: UTF8.self))
        case .violation(let violation): self = .violation(violation)
        case .tooLarge: self = .tooLarge
        }
    }
}

/// Feeds `bytes` in the pieces that end at `cuts`; every piece is a copy of exactly its size. What can be read
/// directly is, `direct` bytes at a time.
func frames(
    _ bytes: [UInt8], cuts: [Int] = [], limit: Int = 1 << 20, direct: Int? = nil, shelf: RoomShelf = RoomShelf()
) -> [Told] {
    var framing = WebSocketFraming(maximumMessageBytes: limit, shelf: shelf)
    var told: [Told] = []
    var start = 0
    func feed(_ piece: [UInt8]) {
        piece.withUnsafeBytes { bytes in
            var at = 0
            while let event = framing.next(bytes, &at) { told.append(Told(event)) }
            #expect(at == bytes.count)
        }
    }
    for end in cuts + [bytes.count] {
        while start < end, let direct, let space = framing.directSpace(least: 1) {
            let count = min(space.count, direct, end - start)
            bytes.withUnsafeBytes {
                space.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<start + count]))
            }
            framing.readDirectly(count)
            start += count
            feed([])
        }
        guard start < end else { continue }
        feed(Array(bytes[start..<end]))
        start = end
    }
    return told
}

func frame(_ opcode: UInt8, _ payload: [UInt8], final: Bool = true) -> [UInt8] {
    var head = [(final ? 0x80 : 0) | opcode]
    switch payload.count {
    case ...125: head.append(UInt8(payload.count))
    case ...0xFFFF: head += [126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
    default: head += [127] + (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> (56 - 8 * $0)) }
    }
    return head + payload
}

struct FramingTests {
    @Test func wholeMessages() {
        let long = [UInt8](repeating: 0x61, count: 70_000)
        let bytes =
            frame(1, Array("hi".utf8)) + frame(2, [0, 255]) + frame(1, []) + frame(1, long)
            + frame(1, Array(long[..<300]))
        #expect(
            frames(bytes) == [
                .message(Array("hi".utf8), isBinary: false), .message([0, 255], isBinary: true),
                .message([], isBinary: false), .message(long, isBinary: false),
                .message(Array(long[..<300]), isBinary: false),
            ])
    }

    @Test func fragmentsWithControlFramesBetween() {
        let bytes =
            frame(1, Array("a".utf8), final: false) + frame(9, [1, 2]) + frame(0, [], final: false)
            + frame(0, Array("b".utf8), final: false) + frame(10, []) + frame(0, Array("c".utf8))
        let expected: [Told] = [.ping([1, 2]), .pong, .message(Array("abc".utf8), isBinary: false)]
        #expect(frames(bytes) == expected)
        // However it is cut.
        #expect(frames(bytes, cuts: Array(1..<bytes.count)) == expected)
        for cut in 1..<bytes.count { #expect(frames(bytes, cuts: [cut]) == expected) }
    }

    @Test(
        arguments: [
            ([0xC1, 0], WebSocketViolation.reservedBits), ([0xA1, 0], .reservedBits), ([0x91, 0], .reservedBits),
            ([0x83, 0], .reservedOpcode(3)), ([0x87, 0], .reservedOpcode(7)), ([0x8B, 0], .reservedOpcode(11)),
            ([0x8F, 0], .reservedOpcode(15)), ([0x81, 0x80, 1, 2, 3, 4], .maskedFrame),
            ([0x89, 0x80, 1, 2, 3, 4], .maskedFrame), ([0x09, 0], .fragmentedControlFrame),
            ([0x08, 0], .fragmentedControlFrame), ([0x89, 126, 0, 126], .longControlFrame),
            ([0x88, 127, 0, 0, 0, 0, 0, 0, 0, 1], .longControlFrame), ([0x80, 0], .unexpectedContinuation),
            ([0x00, 1, 65], .unexpectedContinuation), ([0x01, 1, 65, 0x81, 1, 66], .interruptedMessage),
            ([0x81, 126, 0, 125], .badLength), ([0x81, 127, 0, 0, 0, 0, 0, 0, 255, 255], .badLength),
            ([0x81, 127, 128, 0, 0, 0, 0, 0, 0, 0], .badLength), ([0x88, 1, 3], .badCloseCode),
            ([0x88, 2, 3, 0xED], .badCloseCode), ([0x88, 2, 3, 0xEE], .badCloseCode),
            ([0x88, 2, 3, 0xEC], .badCloseCode),
            ([0x88, 2, 0, 0], .badCloseCode), ([0x88, 2, 3, 0xE7], .badCloseCode), ([0x88, 2, 3, 0xF7], .badCloseCode),
            ([0x88, 2, 0x07, 0xD0], .badCloseCode), ([0x88, 2, 0x13, 0x88], .badCloseCode),
            ([0x88, 3, 3, 0xE8, 0xFF], .invalidUTF8), ([0x81, 2, 0xC3, 0x28], .invalidUTF8),
            ([0x81, 3, 0xED, 0xA0, 0x80], .invalidUTF8), ([0x01, 1, 0xC3, 0x80, 1, 0x28], .invalidUTF8),
            ([0x81, 1, 0xC3], .invalidUTF8),
        ] as [([UInt8], WebSocketViolation)])
    func violations(_ bytes: [UInt8], _ violation: WebSocketViolation) {
        // Nothing that follows is read.
        let more = bytes + frame(1, Array("more".utf8))
        #expect(frames(more) == [.violation(violation)])
        #expect(frames(more, cuts: Array(1..<more.count)) == [.violation(violation)])
        #expect([1002, 1007].contains(violation.closeCode))
    }

    @Test func closeFrames() {
        #expect(frames(frame(8, [])) == [.close(nil, "")])
        #expect(frames(frame(8, [0x0F, 0xA1] + Array("go".utf8)) + frame(1, [65])) == [.close(4001, "go")])
        for code in [1000, 1001, 1002, 1003, 1007, 1011, 1012, 1014, 3000, 4999] as [UInt16] {
            #expect(frames(frame(8, [UInt8(code >> 8), UInt8(code & 255)])) == [.close(code, "")])
        }
    }

    @Test func charactersMaySpanFragments() {
        let euro = Array("€".utf8)
        let bytes = frame(1, [euro[0]], final: false) + frame(0, Array(euro[1...]))
        #expect(frames(bytes) == [.message(euro, isBinary: false)])
        #expect(frames(frame(2, [0xC3, 0x28])) == [.message([0xC3, 0x28], isBinary: true)])
    }

    @Test func sizesAreBounded() {
        let announced: [UInt8] = [0x82, 127, 0, 0, 0, 0, 0x7F, 255, 255, 255]
        #expect(frames(announced, limit: 1 << 20) == [.tooLarge])
        #expect(frames([0x82, 127, 0x7F] + Array(repeating: 255, count: 7), limit: .max - 1) == [.tooLarge])
        #expect(frames(frame(2, [1, 2, 3]), limit: 3) == [.message([1, 2, 3], isBinary: true)])
        #expect(frames(frame(2, [1, 2, 3, 4]), limit: 3) == [.tooLarge])
        let pieces = frame(2, [1, 2], final: false) + frame(0, [3], final: false) + frame(0, [4])
        #expect(frames(pieces, limit: 4) == [.message([1, 2, 3, 4], isBinary: true)])
        #expect(frames(pieces, limit: 3) == [.tooLarge])
    }

    /// Text is looked at in blocks of several sizes: what is not UTF-8 is found wherever it stands, and nothing else is.
    @Test(arguments: [1, 7, 8, 15, 16, 17, 100, 1024, 1200])
    func whatIsNotUTF8IsFoundAnywhere(_ length: Int) {
        let plain = [UInt8](repeating: 0x61, count: length)
        #expect(frames(frame(1, plain)) == [.message(plain, isBinary: false)])
        for place in 0..<length {
            var text = plain
            text[place] = 0x80
            #expect(frames(frame(1, text)) == [.violation(.invalidUTF8)])
            guard place + 1 < length else { continue }
            text[place...place + 1] = [0xC3, 0xA9]
            #expect(frames(frame(1, text)) == [.message(text, isBinary: false)])
        }
    }

    @Test func aLongMessageInPiecesAnnouncesAnother() {
        var framing = WebSocketFraming(maximumMessageBytes: 1 << 20, shelf: RoomShelf())
        /// How many events there were, and whether the last message was long.
        func feed(_ bytes: [UInt8]) -> [Int] {
            var told = 0
            bytes.withUnsafeBytes { bytes in
                var at = 0
                while framing.next(bytes, &at) != nil { told += 1 }
            }
            return [told, framing.wasLong ? 1 : 0]
        }
        let long = frame(2, [UInt8](repeating: 1, count: 40_000))
        #expect(feed(Array(long[..<30_000])) == [0, 0])
        #expect(feed(Array(long[30_000...])) == [1, 1])
        #expect(feed(frame(2, [1, 2, 3])) == [1, 0])
        // Nothing had to be joined.
        #expect(feed(long) == [1, 0])
    }

    @Test func announcedBytesTakeNoMemory() {
        let shelf = RoomShelf()
        var framing = WebSocketFraming(maximumMessageBytes: .max, shelf: shelf)
        let bytes: [UInt8] = [0x82, 127, 0, 1, 0, 0, 0, 0, 0, 0, 7]
        bytes.withUnsafeBytes { bytes in
            var at = 0
            #expect(framing.next(bytes, &at) == nil)
        }
        #expect((framing.directSpace(least: 1)?.count ?? .max) < 1 << 17)
    }

    /// Random conversations, cut anywhere and read directly or not, tell the same as in one piece.
    @Test(arguments: 0..<40) func anyCutTellsTheSame(_ seed: UInt64) {
        var dice = SeededRandom(seed)
        var bytes: [UInt8] = []
        var expected: [Told] = []
        for _ in 0..<Int.random(in: 1...12, using: &dice) {
            let isBinary = Bool.random(using: &dice)
            let pieces = (0..<Int.random(in: 1...4, using: &dice)).map { _ in
                var piece = [UInt8](
                    repeating: UInt8.random(in: 0..<128, using: &dice),
                    count: [0, 1, 5, 130, 70_000].randomElement(using: &dice) ?? 0)
                for _ in 0..<min(50, piece.count) {
                    piece[Int.random(in: 0..<piece.count, using: &dice)] = isBinary ? 255 : 65
                }
                return piece
            }
            for (place, piece) in pieces.enumerated() {
                if Bool.random(using: &dice) {
                    let payload = (0..<Int.random(in: 0...125, using: &dice)).map { UInt8(truncatingIfNeeded: $0) }
                    bytes += frame(9, payload)
                    expected.append(.ping(payload))
                }
                let opcode: UInt8 = place > 0 ? 0 : isBinary ? 2 : 1
                bytes += frame(opcode, piece, final: place == pieces.count - 1)
            }
            expected.append(.message(Array(pieces.joined()), isBinary: isBinary))
        }
        let shelf = RoomShelf()
        #expect(frames(bytes, shelf: shelf) == expected)
        for direct in [nil, 1000, 1 << 20] {
            let cuts = Set((0..<20).map { _ in Int.random(in: 0...bytes.count, using: &dice) }).sorted()
            #expect(frames(bytes, cuts: cuts, direct: direct, shelf: shelf) == expected)
        }
    }
}

extension WebSocketFraming.Event: Equatable {
    public static func == (left: Self, right: Self) -> Bool { Told(left) == Told(right) }
}
