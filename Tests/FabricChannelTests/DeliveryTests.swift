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
}
