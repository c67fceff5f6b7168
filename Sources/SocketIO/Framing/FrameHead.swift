/// The head of a frame: up to ten bytes, as servers do not mask.
struct FrameHead {
    var opcode: UInt8
    var isFinal: Bool
    /// Of the payload. Bytes.
    var length: Int

    var isControl: Bool { opcode & 0x8 != 0 }

    /// How many bytes the head has, by its second one.
    @inline(__always)
    static func size(second: UInt8) -> Int {
        switch second & 0x7F {
        case 126: 4
        case 127: 10
        default: 2
        }
    }

    /// Reads a head that is there in full.
    @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer, at: Int) throws(WebSocketViolation) {
        let first = bytes[at]
        let second = bytes[at + 1]
        guard first & 0x70 == 0 else { throw .reservedBits }
        guard second & 0x80 == 0 else { throw .maskedFrame }
        opcode = first & 0x0F
        isFinal = first & 0x80 != 0
        length = Int(second)
        if isControl {
            guard opcode <= 0xA else { throw .reservedOpcode(opcode) }
            guard isFinal else { throw .fragmentedControlFrame }
            guard length <= 125 else { throw .longControlFrame }
            return
        }
        guard opcode <= 2 else { throw .reservedOpcode(opcode) }
        if length == 126 {
            length = Int(bytes[at + 2]) << 8 | Int(bytes[at + 3])
            guard length > 125 else { throw .badLength }
        } else if length == 127 {
            var wide: UInt64 = 0
            for place in 2..<10 { wide = wide << 8 | UInt64(bytes[at + place]) }
            guard wide > 0xFFFF, let exact = Int(exactly: wide) else { throw .badLength }
            length = exact
        }
    }
}
