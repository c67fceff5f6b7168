/// Well-formed UTF-8 sequences (Unicode 16, table 3-7).
enum UTF8Form {
    /// The length in bytes of the sequence that begins at `at`, whose first byte is not ASCII; 0 if it is malformed,
    /// -1 if the text ends inside a sequence that is good so far.
    @inline(__always)
    static func length(_ base: UnsafeRawPointer, _ at: Int, _ end: Int) -> Int {
        let first = ByteScan.byte(base, at)
        var lowest: UInt8 = 0x80
        var highest: UInt8 = 0xBF
        let length: Int
        switch first {
        case 0xC2...0xDF: length = 2
        case 0xE0:
            length = 3
            lowest = 0xA0
        case 0xED:
            length = 3
            highest = 0x9F
        case 0xE1...0xEF: length = 3
        case 0xF0:
            length = 4
            lowest = 0x90
        case 0xF1...0xF3: length = 4
        case 0xF4:
            length = 4
            highest = 0x8F
        default: return 0
        }
        guard at &+ 1 < end else { return -1 }
        let second = ByteScan.byte(base, at &+ 1)
        guard second >= lowest, second <= highest else { return 0 }
        var place = 2
        while place < length {
            guard at &+ place < end else { return -1 }
            guard ByteScan.byte(base, at &+ place) & 0xC0 == 0x80 else { return 0 }
            place &+= 1
        }
        return length
    }
}
