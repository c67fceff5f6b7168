import FabricAPI
import JSONBytes
import Testing

@testable import FabricChannel

/// What a delivery says beside the message.
@Suite struct DeliveryTests {
    private func delivery(
        _ message: String, user: String = "u-1", name: String? = "Écho \"1\"", wake: Bool = false
    ) throws -> JSONValue {
        let bytes = Array(message.utf8)
        let text = ConversationText(
            account: "a", user: user, userName: name, guild: "g", channel: "c", name: "room", type: .general,
            idPrefix: "a/g/c/")
        let buffer = DeliveryBuffer()
        try bytes.withUnsafeBytes { raw in
            let view = try #require(FabricMessageView(JSONView(validated: raw, start: 0, end: raw.count)))
            DeliveryWriter.write(
                view, text: text,
                facts: DeliveryFacts(wake: wake, caughtUp: false, redelivered: false, isFromAgent: false), to: buffer)
        }
        return try JSONValue(parsing: Array(buffer.bytes))
    }

    @Test func theAgentIsToldWhoItIs() throws {
        let message = #"{"messageId":"m","seq":1,"authorUserId":"u-2","content":"hi"}"#
        #expect(try delivery(message)["self"] == ["userId": "u-1", "username": "Écho \"1\""])
        #expect(try delivery(message, name: nil)["self"] == ["userId": "u-1"])
        #expect(try delivery(message, user: "")["self"] == nil, "not known yet")
    }

    @Test(
        arguments: [
            (#""author":{"id":"u-2","name":"Ann \"A\""}"#, "Ann \"A\""),
            (#""author":{"displayName":"Ann","userId":"u-2"}"#, "Ann"),
            (#""authorName":"Ann","authorUserId":"u-2""#, "Ann"),
            (#""senderUserId":"u-2","senderDisplayName":"Ann""#, "Ann"),
            (#""authorId":"u-2","authorUsername":"ann""#, "ann"), (#""authorUserId":"u-2""#, nil),
            (#""authorUserId":"u-2","authorName":"""#, nil), (#""authorUserId":"u-2","authorName":7"#, nil),
            (#""author":{"id":"u-2","name":null}"#, nil),
        ] as [(String, String?)])
    func theAuthorsNameWhereTheGuildTellsIt(_ fields: String, _ name: String?) throws {
        let author = try delivery(#"{"messageId":"m","seq":1,"content":"hi",\#(fields)}"#)["message"]?["author"]
        #expect(author?["id"] == "u-2" && author?["name"]?.string == name && author?["isAgent"] == false, "\(fields)")
    }

    /// The way of nearly every message writes what the other one writes.
    @Test(arguments: [
        #"{"id":"m","channelId":"c","seq":12,"userId":"u","content":"hi"}"#,
        #"{"messageId":"m","seq":9007199254740992,"authorUserId":"u-2","content":"with \"quotes\"","createdAt":"2026-06-01T10:30:51.123Z","attachments":[],"mentions":[]}"#,
        #"{"messageId":7,"seq":0,"authorUserId":8,"content":null}"#, #"{"messageId":"m","seq":-1}"#,
        #"{"messageId":"m"}"#,
        #"{"messageId":"m","seq":1,"content":5,"createdAt":12,"authorName":"Ann","authorId":"u"}"#,
        #"{"messageId":"m","seq":1,"content":"<@u-1> hi","authorId":"u"}"#,
        #"{"messageId":"m","seq":1,"replyTo":"m0"}"#,
        #"{"messageId":"m","seq":1,"mentions":["u-1"],"content":"é"}"#,
        #"{"messageId":"m","seq":1,"attachments":[{"url":"/api/files/1","name":"a"}]}"#,
        #"{"messageId":"m","seq":1,"authorUserId":"00000000-0000-0000-0000-000000000000","content":"system"}"#,
        #"{"message":{"messageId":"m","seq":123456789,"content":"inside"},"wakeup":false}"#,
    ])
    func theUsualWayWritesTheSame(_ message: String) throws {
        let bytes = Array(message.utf8)
        let text = ConversationText(
            account: "a", user: "u-1", userName: "Écho", guild: "g", channel: "c", name: "room", type: .general,
            idPrefix: "a/g/c/")
        let (usual, general) = (DeliveryBuffer(), DeliveryBuffer())
        for isFromAgent in [false, true] {
            try bytes.withUnsafeBytes { raw in
                let view = try #require(FabricMessageView(JSONView(validated: raw, start: 0, end: raw.count)))
                DeliveryWriter.write(record: view, text: text, isFromAgent: isFromAgent, to: usual)
                let facts = DeliveryFacts(
                    wake: false, caughtUp: false, redelivered: false, isFromAgent: isFromAgent)
                DeliveryWriter.write(view, text: text, facts: facts, to: general)
            }
            let written = String(decoding: usual.bytes, as: UTF8.self)
            #expect(written == String(decoding: general.bytes, as: UTF8.self))
            #expect(try JSONValue(parsing: Array(usual.bytes)).object != nil, "\(written)")
        }
    }
}
