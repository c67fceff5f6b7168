import Foundation
import Testing

@testable import FabricSimulator

/// What a script makes users do besides posting.
@Suite(.timeLimit(.minutes(5))) struct ControlTests {
    @Test func usersEditDeleteShareAndAreBusy() async throws {
        let sim = try await FabricSimulator.start(.init(guilds: ["g"]))
        let ann = try await sim.createUser(name: "ann")
        let room = try await sim.createChannel(name: "room", members: [ann.id])
        let message = try await sim.post(as: ann.id, in: room.id, content: "one")
        let control = "\(sim.controlBase)/_sim"
        func post(_ route: String, _ json: String) -> Exchange {
            Exchange(url: "\(control)/\(route)", method: "POST", json: json)
        }
        let place = #""channel":"room","message":"\#(message.id)""#
        let answers = try await Exchange.run([
            post("edit", "{\(place),\"content\":\"two\"}"),
            post("canvas", #"{"user":"ann","channel":"room","content":"on it"}"#),
            Exchange(url: "\(control)/canvas?channel=room"),
            post("presence", #"{"user":"ann","status":"busy"}"#),
            Exchange(url: "\(control)/presence?user=ann"),
            post("typing", #"{"user":"ann","channel":"room"}"#),
            Exchange(url: "\(control)/commands"),
            post("edit", #"{"channel":"room","message":"none","content":"x"}"#),
        ])
        #expect(answers.map(\.status) == [200, 200, 200, 200, 200, 200, 200, 400])
        #expect(await sim.history(room.id).first?.content == "two")
        #expect(answers[2].object["content"] as? String == "on it")
        #expect(answers[4].object["status"] as? String == "busy")
        #expect(answers[6].body == "null")
        let deleted = try await Exchange.run([post("delete", "{\(place)}"), post("delete", "{\(place)}")])
        #expect(deleted.map(\.status) == [200, 400])
        #expect(await sim.history(room.id).first?.deletedAt != nil)
        await sim.stop()
    }
}
