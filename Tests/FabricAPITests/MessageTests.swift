import JSONBytes
import Testing
import Timing

@testable import FabricAPI

@Suite struct MessageTests {
    @Test func everything() throws {
        let json = """
            {"id":"m1","channelId":"c1","guildId":"g1","seq":12,"authorUserId":"u1","content":"hi \\"you\\"",
            "createdAt":"2026-06-02T10:30:51.123Z","mentions":["u2"],"attachments":[{"url":"/api/files/f"}],
            "replyTo":"m0","xType":"discuss","wakeup":true,"unknown":{"id":"no","seq":99},"edited":null}
            """
        try withMessage(json) { message in
            let message = try #require(message)
            #expect(message.id.string == "m1")
            #expect(message.channelId?.string == "c1")
            #expect(message.guildId?.string == "g1")
            #expect(message.seq == 12)
            #expect(message.author?.string == "u1")
            #expect(message.content?.string == "hi \"you\"")
            #expect(message.createdAt.flatMap(FabricTime.seconds) == 1_780_396_251.123)
            #expect(FabricMention.read(message) == ["u2"])
            #expect(FabricAttachment.read(message.attachments) == [FabricAttachment(url: "/api/files/f")])
            #expect(message.replyTo?.string == "m0")
            #expect(message.xType == .discuss)
            #expect(message.wakeup == true)
        }
    }

    @Test(arguments: [
        (#"{"messageId":"a"}"#, "a"), (#"{"id":"b","messageId":"a"}"#, "a"), (#"{"messageId":"a","id":"b"}"#, "a"),
        (#"{"id":"b","messageId":null}"#, "b"), (#"{"message":{"id":"c"},"wakeup":true}"#, "c"), (#"{"id":7}"#, "7"),
    ])
    func ids(_ json: String, _ expected: String) throws {
        try withMessage(json) { #expect($0?.id.string ?? $0?.id.int64.map(String.init) == expected) }
    }

    @Test(arguments: [
        #"{"authorUserId":"u"}"#, #"{"authorId":"u"}"#, #"{"senderUserId":"u"}"#, #"{"senderId":"u"}"#,
        #"{"userId":"u"}"#, #"{"author":"u"}"#, #"{"author":{"name":"x","id":"u"}}"#, #"{"author":{"userId":"u"}}"#,
        #"{"userId":"recipient","authorUserId":"u"}"#, #"{"authorUserId":"u","userId":"recipient"}"#,
        #"{"author":{"id":"u"},"userId":"recipient"}"#, #"{"authorUserId":null,"author":{"id":"u"}}"#,
    ])
    func authors(_ json: String) throws {
        try withMessage(#"{"id":"m","# + json.dropFirst()) { #expect($0?.author?.string == "u") }
    }

    @Test(
        arguments: [
            ("12", 12), ("\"12\"", 12), ("9223372036854775807", Int64.max), ("\"9223372036854775807\"", .max), ("0", 0),
            ("9223372036854775808", nil), ("\"x\"", nil), ("\"\"", nil), ("null", nil), ("true", nil), ("1.5", nil),
            ("[1]", nil), ("1e400", nil), ("-3", -3), ("\"12x\"", nil), ("\"true\"", nil),
        ] as [(String, Int64?)])
    func positions(_ text: String, _ expected: Int64?) throws {
        try withMessage(#"{"id":"m","seq":\#(text)}"#) { #expect($0?.seq == expected) }
    }

    @Test(arguments: [
        "{}", "[]", "null", "1", "\"x\"", #"{"id":""}"#, #"{"id":null}"#, #"{"id":{}}"#, #"{"id":true}"#, #"{"seq":1}"#,
        #"{"message":"text"}"#, #"{"message":{"message":{"id":"deep"}}}"#,
    ])
    func noMessage(_ json: String) throws {
        try withMessage(json) { #expect($0 == nil) }
    }

    @Test(arguments: [
        #"{"id":"m","content":5,"channelId":[],"author":7,"mentions":{},"attachments":"x","xType":3,"wakeup":"yes"}"#,
        #"{"id":"m","author":{},"attachments":[1,{},null,[],{"url":""},{"url":null}],"mentions":[1,null,{}]}"#,
    ])
    func wrongTypes(_ json: String) throws {
        try withMessage(json) { message in
            let message = try #require(message)
            #expect(message.author == nil)
            #expect(message.xType == nil)
            #expect(message.wakeup == nil)
            #expect(FabricAttachment.read(message.attachments).isEmpty)
            #expect(FabricMention.read(message).isEmpty)
        }
    }

    @Test func types() throws {
        for type in FabricChannelType.allCases {
            try withMessage(#"{"id":"m","xType":"\#(type.rawValue)"}"#) { #expect($0?.xType == type) }
        }
        try withMessage(#"{"id":"m","xType":"group"}"#) { #expect($0?.xType == .unknown) }
        try withMessage(#"{"id":"m","x_type":"dm"}"#) { #expect($0?.xType == .dm) }
    }

    @Test(arguments: [
        #"{"url":"/u","name":"n","mimeType":"t","size":5}"#,
        #"{"url":"/u","filename":"n","contentType":"t","bytes":5}"#,
        #"{"url":"/u","fileName":"n","mediaType":"t","size":"5"}"#,
        #"{"url":"/u","originalName":"n","mimetype":"t","sizeBytes":5}"#,
        #"{"id":"x","url":"/u","name":"n","type":"t","size":5.0}"#,
    ])
    func attachments(_ json: String) throws {
        try withMessage(#"{"id":"m","attachments":[\#(json)]}"#) { message in
            #expect(
                FabricAttachment.read(message?.attachments) == [
                    FabricAttachment(url: "/u", name: "n", mediaType: "t", size: 5)
                ])
        }
    }

    @Test func attachmentsByIdOrURLAlone() throws {
        try withMessage(#"{"id":"m","attachments":["/a",{"id":"f1"},{"fileId":7,"size":-1}]}"#) { message in
            #expect(FabricAttachment.read(message?.attachments).map(\.url) == ["/a", "/api/files/f1", "/api/files/7"])
            #expect(FabricAttachment.read(message?.attachments).allSatisfy { $0.size == nil })
        }
    }

    @Test(
        arguments: [
            ("hi <@u-1> and <@u_2>", ["u-1", "u_2"]), ("`<@u1>` <@u2>", ["u2"]), ("```\n<@u1>\n``` <@u2>", ["u2"]),
            ("a ` b <@u1>", ["u1"]), ("<@user.name:bob>", []), ("<@> <@u", []), ("<@u><@u>", ["u"]), ("", []),
            ("``a ` <@x>`` <@u>", ["u"]),
        ] as [(String, [String])])
    func mentionsInText(_ text: String, _ expected: [String]) {
        #expect(FabricMention.ids(in: text) == expected)
    }

    @Test func mentionsOfTheList() throws {
        try withMessage(#"{"id":"m","content":"<@a>","mentions":[{"userId":"b"},{"id":"c"},"d","d"]}"#) {
            let message = try #require($0)
            #expect(FabricMention.read(message) == ["b", "c", "d"])
        }
        try withMessage(#"{"id":"m","content":"<@a>"}"#) {
            let message = try #require($0)
            #expect(FabricMention.read(message) == ["a"])
        }
    }

    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2000-02-29T12:00:00.5Z", 951_825_600.5),
            ("2026-06-02T12:30:51+02:00", 1_780_396_251),
            ("2026-06-02 10:30:51", 1_780_396_251), ("2026-06-02T10:30:51-0000", 1_780_396_251),
            ("1969-12-31T23:59:59Z", -1),
            ("2026-13-02T10:30:51Z", nil), ("2026-06-02", nil), ("", nil), ("x", nil), ("2026-06-02T10:30:51Zx", nil),
        ] as [(String, Double?)])
    func times(_ text: String, _ expected: Double?) {
        #expect(TimeText.seconds(text) == expected)
    }

    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (951_825_600.5, "2000-02-29T12:00:00.500Z"),
            (1_780_396_251.9994, "2026-06-02T10:30:51.999Z"), (1_780_396_251.9996, "2026-06-02T10:30:52.000Z"),
            (-0.25, "1969-12-31T23:59:59.750Z"), (-86_400, "1969-12-31T00:00:00.000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000Z"), (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (1e300, "9999-12-31T23:59:59.999Z"), (-.infinity, "0001-01-01T00:00:00.000Z"),
            (.nan, "1970-01-01T00:00:00.000Z"),
        ] as [(Double, String)])
    func writtenTimes(_ seconds: Double, _ text: String) { #expect(TimeText.text(seconds) == text) }

    @Test func aWrittenTimeIsReadAsItWas() {
        for day in stride(from: -719_162, through: 2_932_896, by: 97) {
            let time = Double(day) * 86_400 + Double(abs(day) % 86_400) + 0.125
            #expect(TimeText.seconds(TimeText.text(time)) == time)
        }
    }

    /// Views promise never to read outside, whatever the text; the guard pages of the sanitizers see to the rest.
    @Test func garbageIsHarmless() {
        let text =
            #"{"id":"m1","seq":"12","author":{"id":"u"},"mentions":["a",{"id":"b"}],"attachments":[{"url":"/x","size":3}],"content":"\u00e9 <@u>","createdAt":"2026-06-02T10:30:51Z","xType":"dm","wakeup":true,"message":{"id":"x"}}"#
        let original = Array(text.utf8)
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] =
                    Bool.random(using: &random)
                    ? UInt8.random(in: 0...255, using: &random)
                    : Array("{}[]\":,\\0e-".utf8).randomElement(using: &random) ?? 0
            }
            bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random) / 2)
            bytes.withUnsafeBytes { bytes in
                guard let message = FabricMessageView(JSONView(validated: bytes, start: 0, end: bytes.count)) else {
                    return
                }
                _ = FabricMention.read(message)
                _ = FabricAttachment.read(message.attachments)
                _ = message.createdAt.flatMap(FabricTime.seconds)
                _ = (message.id.string, message.content?.string, message.author?.string, message.replyTo?.string)
            }
        }
    }
}
