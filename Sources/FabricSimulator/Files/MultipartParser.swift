import Foundation
import NIOCore

/// A streaming parser for `multipart/form-data` (RFC 7578): buffers only what may still be a boundary.
struct MultipartParser {
    enum Event: Equatable {
        case part(name: String?, filename: String?, mediaType: String?)
        case bytes(ByteBuffer)
        case partEnd
        case end
    }

    enum Failure: Error { case malformed }

    private enum State { case preamble, headers, body, afterBoundary, done }

    private let delimiter: [UInt8]
    private var state = State.preamble
    private var pending = ByteBuffer()

    /// `contentType` is the header's value; nil if it is no multipart with a boundary.
    init?(contentType: String) {
        guard contentType.lowercased().hasPrefix("multipart/form-data"),
            let range = contentType.range(of: "boundary=", options: .caseInsensitive)
        else { return nil }
        var boundary = contentType[range.upperBound...].prefix { $0 != ";" }
        if boundary.hasPrefix("\"") { boundary = boundary.dropFirst().prefix { $0 != "\"" } }
        guard !boundary.isEmpty else { return nil }
        delimiter = Array("\r\n--\(boundary)".utf8)
        // The first boundary has no line end before it; giving it one makes all boundaries alike.
        pending.writeString("\r\n")
    }

    mutating func feed(_ bytes: ByteBuffer) throws(Failure) -> [Event] {
        pending.writeImmutableBuffer(bytes)
        var events: [Event] = []
        while try step(&events) {}
        pending.discardReadBytes()
        return events
    }

    /// One step; false when more bytes are needed.
    private mutating func step(_ events: inout [Event]) throws(Failure) -> Bool {
        switch state {
        case .preamble:
            guard let found = find(delimiter) else {
                keepTail(delimiter.count - 1)
                return false
            }
            pending.moveReaderIndex(forwardBy: found + delimiter.count)
            state = .afterBoundary
        case .afterBoundary:
            guard let next = pending.getBytes(at: pending.readerIndex, length: 2) else { return false }
            pending.moveReaderIndex(forwardBy: 2)
            if next == Array("--".utf8) {
                state = .done
                events.append(.end)
            } else if next == Array("\r\n".utf8) {
                state = .headers
            } else {
                throw .malformed
            }
        case .headers:
            guard let found = find(Array("\r\n\r\n".utf8)) else {
                // More than enough for the headers of one part.
                if pending.readableBytes > 65_536 { throw .malformed }
                return false
            }
            let text = pending.readString(length: found) ?? ""
            pending.moveReaderIndex(forwardBy: 4)
            events.append(Self.part(headers: text))
            state = .body
        case .body:
            guard let found = find(delimiter) else {
                let certain = pending.readableBytes - (delimiter.count - 1)
                if certain > 0, let bytes = pending.readSlice(length: certain) { events.append(.bytes(bytes)) }
                return false
            }
            if found > 0, let bytes = pending.readSlice(length: found) { events.append(.bytes(bytes)) }
            pending.moveReaderIndex(forwardBy: delimiter.count)
            events.append(.partEnd)
            state = .afterBoundary
        case .done:
            pending.clear()
            return false
        }
        return true
    }

    /// Where `needle` begins; its first byte, a carriage return, is looked for by the C library.
    private func find(_ needle: [UInt8]) -> Int? {
        pending.withUnsafeReadableBytes { haystack in
            needle.withUnsafeBytes { needle in
                guard let start = haystack.baseAddress, let pattern = needle.baseAddress else { return nil }
                var offset = 0
                while offset + needle.count <= haystack.count {
                    let left = haystack.count - needle.count - offset + 1
                    guard let hit = memchr(start + offset, Int32(needle[0]), left) else { return nil }
                    if memcmp(hit, pattern, needle.count) == 0 { return UnsafeRawPointer(hit) - start }
                    offset = UnsafeRawPointer(hit) - start + 1
                }
                return nil
            }
        }
    }

    private mutating func keepTail(_ count: Int) {
        let surplus = pending.readableBytes - count
        if surplus > 0 { pending.moveReaderIndex(forwardBy: surplus) }
    }

    private static func part(headers: String) -> Event {
        var name: String?
        var filename: String?
        var mediaType: String?
        for line in headers.components(separatedBy: "\r\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            switch line[..<colon].lowercased() {
            case "content-disposition":
                name = parameter("name", of: value)
                filename = parameter("filename", of: value)
            case "content-type": mediaType = value
            default: break
            }
        }
        return .part(name: name, filename: filename, mediaType: mediaType)
    }

    private static func parameter(_ name: String, of value: String) -> String? {
        guard let range = value.range(of: "; \(name)=\"") ?? value.range(of: ";\(name)=\"") else { return nil }
        var result = ""
        var escaped = false
        for character in value[range.upperBound...] {
            if escaped {
                // RFC 7578 senders escape only the quote (curl adds the backslash); others keep the backslash.
                if character != "\"" && character != "\\" { result.append("\\") }
                result.append(character)
                escaped = false
            } else if character == "\\" {
                escaped = true
            } else if character == "\"" {
                break
            } else {
                result.append(character)
            }
        }
        return result.replacingOccurrences(of: "%22", with: "\"")
    }
}
