import FabricTools
import JSONBytes
import Testing

@Suite struct ArgumentTests {
    @Test func bothSpellingsAreTheSameArgument() throws {
        let camel = try ToolArguments(["guildNodeId": "g", "channelId": "c", "content": "x"], for: .sendMessage)
        let snake = try ToolArguments(["guild_node_id": "g", "channel_id": "c", "content": "x"], for: .sendMessage)
        #expect(camel == snake && camel.text("guildNodeId") == "g")
        #expect(
            throws: ToolFailure.self,
            performing: { try ToolArguments(["channelId": "a", "channel_id": "b"], for: .channel) })
    }

    @Test(arguments: [
        (Tool.messageHistory, #"{"limit":0}"#, "limit", "from 1 to 200"),
        (.messageHistory, #"{"limit":"many"}"#, "limit", "whole number"),
        (.messageHistory, #"{"seqFrom":-1}"#, "seqFrom", "from 0"),
        (.channel, #"{"channelId":7}"#, "channelId", "an id"),
        (.channel, #"{"channelId":"a b"}"#, "channelId", "without spaces"),
        (.channelList, #"{"xType":"chat"}"#, "xType", "\"general\""),
        (.channelList, #"{"includeClosed":"yes"}"#, "includeClosed", "true or false"),
        (.createChat, #"{}"#, "name", "missing"),
        (.createChat, #"{"name":""}"#, "name", "not empty"),
        (.createChat, #"{"name":"a","memberUserIds":[1]}"#, "memberUserIds", "user ids"),
        (.sendMessage, #"{"files":[{"path":"relative"}]}"#, "files", "absolute path"),
        (.sendMessage, #"{"contnet":"x"}"#, "contnet", "\"content\""),
        (.channel, #"{"agent_id":"other"}"#, "agent_id", "the account it was called for"),
        (.guildList, #"{"zzzzzzzzzzzzzz":1}"#, "zzzzzzzzzzzzzz", "nameFilter"),
    ])
    func aWrongArgumentIsNamedWithWhatWouldBeRight(
        _ tool: Tool, _ json: String, _ argument: String, _ hint: String
    ) throws {
        let value = try JSONValue(parsing: json)
        let failure = #expect(throws: ToolFailure.self) { try ToolArguments(value, for: tool) }
        #expect(failure?.code == .invalidArgument && failure?.argument == argument)
        #expect(failure?.message.contains(hint) == true, "\(failure?.message ?? "")")
        #expect(failure?.message.contains(tool.name) == true)
    }

    @Test func whatModelsWriteIsTaken() throws {
        let history = try ToolArguments(["limit": "5", "seq_from": 2.0, "seqTo": .null], for: .messageHistory)
        #expect(history.whole("limit") == 5 && history.whole("seqFrom") == 2 && !history.has("seqTo"))
        let created = try ToolArguments(["name": "n", "onDuty": "u", "isPublic": "true"], for: .createChat)
        #expect(created.ids("onDuty") == ["u"] && created.truth("isPublic") == true)
        #expect(try ToolArguments(["name": "n", "listeners": ["a", "a"]], for: .createChat).ids("listeners") == ["a"])
    }

    @Test func aSecretIsNotRepeated() throws {
        let failure = #expect(throws: ToolFailure.self) {
            try ToolArguments(["apiKey": "fak_very secret key"], for: .register)
        }
        #expect(failure?.message.contains("secret") == false)
    }
}

@Suite struct CatalogueTests {
    @Test func everyToolIsDescribed() throws {
        #expect(Set(Tool.all.map(\.name)).count == Tool.all.count)
        for tool in Tool.all {
            let listing = tool.listing
            #expect(listing["name"]?.string == tool.name && Tool.named(tool.name) == tool)
            #expect(tool.purpose.hasSuffix("."))
            let properties = try #require(listing["inputSchema"]?["properties"]?.object)
            #expect(Set(properties.keys) == Set(tool.parameters.map(\.name)))
            #expect(properties.values.allSatisfy { $0["description"]?.string?.isEmpty == false })
            for parameter in tool.parameters { #expect(!["agentId", "account"].contains(parameter.name)) }
        }
    }
}
