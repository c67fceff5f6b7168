import FabricChannel
import FabricSimulator
import Foundation
import JSONBytes
import Testing

@Suite(.serialized) struct OutboundTests {
    private func message(_ scene: World.Scene, _ text: String, media: [JSONValue] = []) -> JSONValue {
        [
            "account": "agent", "to": .string("fabric:\(World.guild)/\(scene.channel.id)"), "text": .string(text),
            "media": .array(media),
        ]
    }

    @Test func aSendReturnsIdAndSeq() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let (code, json) = await world.send(message(scene, "hello"))
            #expect(code == .ok)
            let posted = try await world.sim.waitForMessage(in: scene.channel.id) { $0.content == "hello" }
            #expect(json["messageId"]?.string == posted.id && json["seq"]?.int == posted.seq)
            let bare = await world.send(["account": "agent", "to": .string("fabric:\(scene.channel.id)"), "text": "2"])
            #expect(bare.0 == .ok)
        }
    }

    @Test(arguments: [500, 503, 429, 408])
    func passingFailuresAreRetried(_ status: Int) async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            await world.sim.faults.add(
                RouteFault(
                    method: "POST", path: "/api/channels", suffix: "/messages", count: 2, status: status,
                    retryAfter: status == 429 ? 1 : nil))
            let (code, _) = await world.send(message(scene, "persist"))
            #expect(code == .ok)
            #expect(await world.sim.history(scene.channel.id).count == 1)
        }
    }

    @Test(arguments: [true, false])
    func anUnknownOutcomeIsNotPostedTwice(_ honoursKey: Bool) async throws {
        try await withWorld { world in
            await world.sim.updateSwitches { $0.idempotency = honoursKey }
            let scene = try await world.scene()
            await world.sim.faults.add(
                RouteFault(method: "POST", path: "/api/channels", suffix: "/messages", count: 1, drop: .after))
            let (code, _) = await world.send(message(scene, "once"))
            #expect(code == .ok)
            #expect(await world.sim.history(scene.channel.id).map(\.content) == ["once"])
        }
    }

    /// Whoever waits is told, and nothing is kept; the answer of a turn is kept for the operator.
    @Test func aClosedChannelIsFinalAndTheAnswerOfATurnADeadLetter() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "a question")
            let turn = try await world.gateway.delivery("the question") { $0.wake }
            await world.sim.close(channel: scene.channel.id)
            let (direct, told) = await world.send(message(scene, "at once"))
            #expect(direct == .failed && told["error"]?.string?.contains("channel_closed") == true)
            #expect(told["remedy"]?.string?.contains("send it again") == true, "\(told)")
            #expect(try await world.status("agent").first?["deadLetters"]?.int == 0)

            var answer = message(scene, "too late").object ?? [:]
            answer["delivery"] = .string(turn.id)
            let request: JSONValue = .object(answer)
            async let sent = world.send(request)
            world.plugin.settle(turn.id, .finished)
            let (code, json) = await sent
            #expect(code == .failed)
            #expect(json["error"]?.string?.contains("channel_closed") == true)
            let listed = await world.ask(nil, { $0.command($1, completion: $2) }, ["command": "deadLetters.list"])
            let letters = listed.json["deadLetters"]?.array ?? []
            #expect(letters.count == 1 && letters.first?["text"]?.string == "too late")
            #expect(try await world.status("agent").first?["deadLetters"]?.int == 1)
            let id = try #require(letters.first?["id"])
            let dropped = await world.ask(
                nil, { $0.command($1, completion: $2) }, ["command": "deadLetters.drop", "id": id])
            #expect(dropped.code == .ok)
            #expect(try await world.status("agent").first?["deadLetters"]?.int == 0)
        }
    }

    @Test func aChannelKeepsItsOrderThroughFailures() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            await world.sim.faults.add(
                RouteFault(method: "POST", path: "/api/channels", suffix: "/messages", skip: 2, count: 1, status: 500))
            await withTaskGroup(of: Void.self) { group in
                for number in 0..<6 {
                    let json = message(scene, "\(number)")
                    await withCheckedContinuation { begun in
                        group.addTask { _ = await world.send(json) }
                        begun.resume()
                    }
                    _ = try? await world.status("agent")
                }
            }
            let texts = await world.sim.history(scene.channel.id).map(\.content)
            #expect(Set(texts) == Set((0..<6).map(String.init)) && texts.count == 6)
        }
    }

    @Test func segmentsOfATurnAreOneMessage() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "question")
            let delivery = try await world.gateway.delivery("question") { $0.wake }
            func say(_ text: String) -> Task<(code: RequestResult.Code, json: JSONValue), Never> {
                world.asking(
                    nil, { $0.send($1, completion: $2) },
                    [
                        "account": "agent", "to": .string(delivery.to), "text": .string(text),
                        "delivery": .string(delivery.id),
                    ])
            }
            let (first, second) = (say("one"), say("two"))
            world.plugin.settle(delivery.id, .finished)
            let results = [await first.value, await second.value]
            #expect(results.allSatisfy { $0.code == .ok })
            #expect(results[0].json["messageId"] == results[1].json["messageId"])
            let answers = await world.sim.history(scene.channel.id).filter { $0.author == scene.agent.id }
            #expect(answers.count == 1)
            #expect(answers.first?.content == "one\n\ntwo")
        }
    }

    @Test func badRequestsAreNamed() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let to = JSONValue.string("fabric:\(World.guild)/\(scene.channel.id)")
            let cases: [(JSONValue, String)] = [
                (["to": to, "text": "x"], "account"), (["account": "agent", "text": "x"], "to"),
                (["account": "agent", "to": "slack:1", "text": "x"], "to"),
                (["account": "agent", "to": to], "text"),
                (["account": "agent", "to": to, "media": [["path": "relative"]]], "media"),
            ]
            for (json, key) in cases {
                let (code, answer) = await world.send(json)
                #expect(code == .invalid)
                #expect(answer["where"]?.string?.contains(key) == true, "\(answer)")
                let remedy = answer["remedy"]?.string
                #expect(remedy?.isEmpty == false)
            }
            let (code, _) = await world.send(["account": "nobody", "to": to, "text": "x"])
            #expect(code == .unavailable)
            let missing = await world.send(message(scene, "", media: [["path": "/nonexistent/file"]]))
            #expect(missing.0 == .invalid)
            let foreign = await world.send(["account": "agent", "to": "fabric:elsewhere/c", "text": "x"])
            #expect(foreign.0 == .invalid)
            #expect(foreign.1["remedy"]?.string?.contains(World.guild) == true)
            #expect(try await world.status("agent").first?["deadLetters"]?.int == 0)
        }
    }

    @Test func aFileGoesOutWithItsName() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let path = world.directory + "/report.pdf"
            let bytes = Array("%PDF-1.4 hello".utf8)
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            let (code, _) = await world.send(message(scene, "see file", media: [["path": .string(path)]]))
            #expect(code == .ok)
            let posted = try await world.sim.waitForMessage(in: scene.channel.id) { $0.content == "see file" }
            #expect(posted.attachments.first?.name == "report.pdf")
            #expect(posted.attachments.first?.mediaType == "application/pdf")
            let file = try #require(await world.sim.files(guild: World.guild).first { $0.uploader != nil })
            #expect(await world.sim.content(of: file) == bytes)
        }
    }
}
