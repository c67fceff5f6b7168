import JSONBytes
import Testing

@Suite struct Base64Tests {
    /// The vectors of RFC 4648, section 10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func vectors(_ plain: String, _ text: String) {
        #expect(Base64.encoded(Array(plain.utf8)) == text)
        #expect(Base64.decoded(Array(text.utf8)) == Array(plain.utf8))
        #expect(Base64.decoded(text.utf8.prefix { $0 != 0x3D }) == Array(plain.utf8), "padding is optional")
    }

    @Test func theAlphabetOfURLsIsTakenWhereItIsMeant() {
        #expect(Base64.encoded([255, 254, 253, 252]) == "//79/A==")
        #expect(Base64.decoded("//79/A".utf8) == [255, 254, 253, 252])
        #expect(Base64.decoded("__79_A".utf8) == nil)
        #expect(Base64.decoded("__79_A".utf8, isForURLs: true) == [255, 254, 253, 252])
        #expect(Base64.decoded("-_-_".utf8, isForURLs: true) == Base64.decoded("+/+/".utf8))
    }

    @Test(arguments: ["A", "AAAAA", "AA=A", "AA A", "AA\n", "AAé", "=A"]) func malformedIsNothing(_ text: String) {
        #expect(Base64.decoded(text.utf8, isForURLs: true) == nil)
    }

    @Test func everyByteComesBack() {
        for count in 0..<64 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ count) }
            #expect(Base64.decoded(Base64.encoded(bytes).utf8) == bytes)
        }
    }
}
