/// Gathers status and header fields from libcurl's header lines. A new status line begins anew, so that of a
/// `100 Continue` and what follows only the latter remains.
struct ResponseHead {
    /// The most bytes of header lines of one transfer; ours. libcurl bounds single lines only.
    static let maximumBytes = 256 << 10

    private(set) var status = 0
    private(set) var headers = HTTPHeaders()
    private(set) var isComplete = false
    private var bytes = 0

    /// Takes one line with its line break. False: too much.
    mutating func take(_ line: UnsafeRawBufferPointer) -> Bool {
        bytes += line.count
        guard bytes <= Self.maximumBytes else { return false }
        var end = line.count
        while end > 0, line[end - 1] == 0x0D || line[end - 1] == 0x0A { end -= 1 }
        let text = UnsafeRawBufferPointer(rebasing: line[0..<end])
        if text.isEmpty {
            // The end of a 1xx block is not the end of the head.
            isComplete = status >= 200
        } else if text.starts(with: "HTTP/".utf8) {
            status = Self.status(of: text)
            headers = HTTPHeaders()
            isComplete = false
        } else if let colon = text.firstIndex(of: UInt8(ascii: ":")) {
            headers.fields.append(
                .init(name: Self.text(text[..<colon]), value: Self.text(text[(colon + 1)...])))
        }
        return true
    }

    /// The announced length, if it is a number; one that does not fit is the largest there is.
    var contentLength: Int64? {
        guard let text = headers["Content-Length"], !text.isEmpty,
            text.utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return Int64(text) ?? .max
    }

    private static func status(of line: UnsafeRawBufferPointer) -> Int {
        guard let space = line.firstIndex(of: 0x20), line.count >= space + 4 else { return 0 }
        var value = 0
        for byte in line[(space + 1)..<(space + 4)] {
            guard (0x30...0x39).contains(byte) else { return 0 }
            value = value * 10 + Int(byte - 0x30)
        }
        return value
    }

    private static func text(_ bytes: Slice<UnsafeRawBufferPointer>) -> String {
        var bytes = bytes
        while let first = bytes.first, first == 0x20 || first == 0x09 { bytes.removeFirst() }
        while let last = bytes.last, last == 0x20 || last == 0x09 { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }
}
