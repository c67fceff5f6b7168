import NIOCore
import Testing

@testable import FabricSimulator

@Suite struct FileTests {
    private static let body = Array(
        ("preamble is ignored\r\n--XX\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--X\r\n"
            + "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".txt\"\r\n"
            + "Content-Type: text/plain\r\n\r\n\r\n--XY\r--\r\n--XX--\r\nafter").utf8)

    /// Cut at every length, the parts must be the same.
    @Test func multipartIsTheSameHoweverItIsCut() throws {
        for size in 1...Self.body.count {
            var parser = try #require(MultipartParser(contentType: "multipart/form-data; boundary=\"XX\""))
            var names: [String] = []
            var contents: [String] = [""]
            var ended = false
            for start in stride(from: 0, to: Self.body.count, by: size) {
                let piece = ByteBuffer(bytes: Self.body[start..<min(start + size, Self.body.count)])
                for event in try parser.feed(piece) {
                    switch event {
                    case .part(let name, let filename, let type):
                        names.append("\(name ?? "-") \(filename ?? "-") \(type ?? "-")")
                    case .bytes(let bytes): contents[contents.count - 1] += String(buffer: bytes)
                    case .partEnd: contents.append("")
                    case .end: ended = true
                    }
                }
            }
            #expect(ended)
            #expect(names == ["note - -", "file a \"b\".txt text/plain"])
            #expect(contents == ["hello\r\n--X", "\r\n--XY\r--", ""])
        }
    }

    @Test func brokenMultipartIsAnError() throws {
        #expect(MultipartParser(contentType: "application/json") == nil)
        #expect(MultipartParser(contentType: "multipart/form-data") == nil)
        var parser = try #require(MultipartParser(contentType: "multipart/form-data; boundary=XX"))
        #expect(throws: MultipartParser.Failure.malformed) {
            try parser.feed(ByteBuffer(string: "--XX??"))
        }
    }

    @Test func hashDoesNotDependOnTheCuts() {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        for size in 1...70 {
            var hash = ContentHash()
            for start in stride(from: 0, to: bytes.count, by: size) {
                Array(bytes[start..<min(start + size, bytes.count)]).withUnsafeBytes { hash.update($0) }
            }
            #expect(hash.digest == ContentHash.digest(of: bytes))
        }
        var changed = bytes
        changed.swapAt(3, 40)
        #expect(ContentHash.digest(of: changed) != ContentHash.digest(of: bytes))
        #expect(ContentHash.digest(of: []).count == 16)
    }

    @Test func generatedContentIsTheSameEachTimeAndHasItsSize() {
        let content = GeneratedContent(size: 3_000_000)
        var reader = ContentReader(.generated(content))
        var bytes: [UInt8] = []
        while case let piece = reader.next(upTo: 70_001), piece.readableBytes > 0 {
            bytes.append(contentsOf: piece.readableBytesView)
        }
        #expect(bytes.count == 3_000_000)
        #expect(ContentHash.digest(of: bytes) == content.digest())
        #expect(GeneratedContent(size: 3_000_000, seed: 2).digest() != content.digest())
    }
}
