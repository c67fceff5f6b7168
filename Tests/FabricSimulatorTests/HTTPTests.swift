import Foundation
import Testing

@testable import FabricSimulator

/// The REST routes and their faults, asked by Python's standard library.
@Suite(.timeLimit(.minutes(5))) struct HTTPTests {
    private let guild = "sim-guild-1"

    private struct Scene {
        let echo: SimulatedUser
        let human: SimulatedUser
        let channel: SimulatedChannel
        let token: String
        let api: String
    }

    private func scene(_ sim: FabricSimulator, type: ChannelType = .general) async throws -> Scene {
        let echo = try await sim.createUser(name: "echo")
        let human = try await sim.createUser(name: "human")
        let channel = try await sim.createChannel(name: "room", type: type, members: [echo.id, human.id])
        return Scene(
            echo: echo, human: human, channel: channel,
            token: await sim.issueGuildToken(user: echo.id, guild: guild),
            api: (sim.endpoints[guild] ?? "") + "/api")
    }

    private func post(_ scene: Scene, _ content: String, key: String? = nil, bearer: String? = nil) -> Exchange {
        Exchange(
            url: "\(scene.api)/channels/\(scene.channel.id)/messages", method: "POST", bearer: bearer ?? scene.token,
            headers: key.map { ["idempotency-key": $0] } ?? [:],
            json: String(decoding: JSONText.bytes(["content": content]), as: UTF8.self))
    }

    @Test func loginGuildsAndRefresh() async throws {
        try await withSimulator(.init(guilds: ["g1", "g2"], tokenLifetime: .seconds(30))) { sim in
            let echo = try await sim.createUser(name: "echo", email: "echo@x.y", guilds: ["g2"])
            let login = "\(sim.centerBase)/auth/agent/login"
            let answers = try await Exchange.run([
                Exchange(url: login, method: "POST", json: #"{"apiKey":"\#(echo.apiKey)"}"#),
                Exchange(url: login, method: "POST", json: #"{"apiKey":"fak_wrong"}"#),
                Exchange(url: "\(sim.centerBase)/auth/nowhere"),
            ])
            #expect(answers.map(\.status) == [201, 401, 404])
            let session = answers[0].object
            #expect((session["user"] as? [String: Any])?["email"] as? String == "echo@x.y")
            let guilds = try #require(session["guilds"] as? [[String: Any]])
            #expect(guilds.count == 1 && guilds[0]["nodeId"] as? String == "g2")
            #expect(guilds[0]["endpoint"] as? String == sim.endpoints["g2"])
            let tokens = try #require(session["guildAccessTokens"] as? [[String: Any]])
            let token = try #require(tokens[0]["token"] as? String)
            let claims = try #require(Self.claims(token))
            let lifetime = (claims["exp"] as? Double ?? 0) - (claims["iat"] as? Double ?? 0)
            #expect(lifetime >= 30 && lifetime <= 31)
            let access = session["accessToken"] as? String ?? ""
            let refresh = session["refreshToken"] as? String ?? ""
            let more = try await Exchange.run([
                Exchange(url: "\(sim.centerBase)/auth/me/guilds", bearer: access),
                Exchange(url: "\(sim.centerBase)/auth/me/guilds", bearer: token),
                Exchange(url: "\(sim.centerBase)/auth/me/guilds"),
                Exchange(
                    url: "\(sim.centerBase)/auth/refresh", method: "POST", json: #"{"refreshToken":"\#(refresh)"}"#),
                // A guild's token is good for that guild alone.
                Exchange(url: "\(sim.endpoints["g2"] ?? "")/api/channels?guildId=g2", bearer: token),
                Exchange(url: "\(sim.endpoints["g1"] ?? "")/api/channels?guildId=g1", bearer: token),
            ])
            #expect(more.map(\.status) == [200, 401, 401, 201, 200, 401])
            #expect((more[0].object["guildAccessTokens"] as? [Any])?.count == 1)
            #expect(more[3].object["accessToken"] != nil && more[3].object["guildAccessTokens"] == nil)
            let counters = await sim.counters
            #expect(counters.logins == [echo.id: 1] && counters.refusedLogins == 1)
            #expect(counters.unauthorized == ["center": 3, "g1": 1])
        }
    }

    private static func claims(_ token: String) -> [String: Any]? {
        let parts = token.split(separator: ".")
        guard parts.count == 3 else { return nil }
        var text = parts[1].replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        while text.count % 4 != 0 { text += "=" }
        return Data(base64Encoded: text).flatMap { JSONText.object(Array($0)) }
    }

    @Test func guardsOfTheGuild() async throws {
        try await withSimulator { sim in
            let scene = try await scene(sim)
            let list = "\(scene.api)/channels?guildId=\(guild)"
            let outsider = try await sim.createUser(name: "outsider")
            let other = await sim.issueGuildToken(user: outsider.id, guild: guild)
            let answers = try await Exchange.run([
                Exchange(url: list),
                Exchange(url: list, bearer: scene.echo.apiKey),
                Exchange(url: list, headers: ["x-api-key": scene.echo.apiKey]),
                Exchange(url: list, bearer: scene.token),
                Exchange(url: list, bearer: other),
                post(scene, "hi", bearer: other),
                Exchange(
                    url: list.replacingOccurrences(of: "/api", with: ""), method: "PUT", bearer: scene.token),
                Exchange(url: "\(scene.api)/channels/\(scene.channel.id)/messages", bearer: other),
                Exchange(url: "\(scene.api)/channels/nonsense/messages", bearer: scene.token),
            ])
            #expect(answers.map(\.status) == [401, 401, 401, 200, 200, 403, 404, 403, 404])
            #expect(answers[0].object["message"] as? String == "missing bearer token")
            #expect(answers[0].object["statusCode"] as? Int == 401)
            #expect(answers[3].array.map { $0["id"] as? String } == [scene.channel.id])
            #expect(answers[3].array[0]["lastSeq"] as? Int == 0)
            #expect(answers[4].array.isEmpty)
            #expect(answers[6].object["message"] as? String == "Cannot PUT /channels")
            await sim.expireTokens(user: scene.echo.id)
            let late = try await Exchange.run(Exchange(url: list, bearer: scene.token))
            #expect(late.status == 401)
        }
    }

    @Test func idempotencyAndClosedChannels() async throws {
        try await withSimulator { sim in
            let scene = try await scene(sim)
            let answers = try await Exchange.run([
                post(scene, "a", key: "k1"), post(scene, "a", key: "k1"), post(scene, "b", key: "k2"),
                post(scene, "c"),
            ])
            #expect(answers.map(\.status) == [201, 201, 201, 201])
            #expect(answers[0].body == answers[1].body)
            #expect(answers.map { $0.object["seq"] as? Int } == [1, 1, 2, 3])
            #expect(answers.allSatisfy { $0.object["messageId"] is String })
            await sim.close(channel: scene.channel.id)
            let closed = try await Exchange.run([post(scene, "d"), post(scene, "a", key: "k1")])
            #expect(closed.map(\.status) == [409, 201])
            #expect(closed[0].body == #"{"error":"channel_closed"}"#)
            #expect(await sim.history(scene.channel.id).map(\.content) == ["a", "b", "c"])
            #expect(await sim.history(scene.channel.id).map(\.idempotencyKey) == ["k1", "k2", nil])
            #expect(await sim.counters.repeatedPosts == 2)
        }
    }

    @Test func historyInEveryShape() async throws {
        try await withSimulator { sim in
            let scene = try await scene(sim)
            for index in 1...12 { try await sim.post(as: scene.human.id, in: scene.channel.id, content: "\(index)") }
            let url = "\(scene.api)/channels/\(scene.channel.id)/messages"
            func seqs(_ rows: Any?) -> [Int] { (rows as? [[String: Any]] ?? []).compactMap { $0["seq"] as? Int } }
            let pages = try await Exchange.run(
                ["", "?limit=3", "?seqFrom=5&limit=3", "?seqFrom=5&seqTo=6", "?seqTo=4&limit=2"].map {
                    Exchange(url: url + $0, bearer: scene.token)
                })
            #expect(
                pages.map { seqs($0.object["messages"]) } == [
                    Array(1...12), [10, 11, 12], [5, 6, 7], [5, 6], [3, 4],
                ])
            #expect((pages[0].object["page"] as? [String: Any])?["lastSeq"] as? Int == 12)
            await sim.updateSwitches {
                ($0.historyEnvelope, $0.idKey, $0.authorKey, $0.historyMaximum) = (.array, .messageId, .author, 2)
            }
            let array = try await Exchange.run(Exchange(url: url, bearer: scene.token))
            #expect(array.array.count == 2)
            #expect(array.array[0]["id"] == nil && array.array[0]["messageId"] is String)
            #expect((array.array[0]["author"] as? [String: Any])?["id"] as? String == scene.human.id)
            #expect(array.array[0]["wakeup"] == nil)
            await sim.updateSwitches { ($0.historyEnvelope, $0.idKey, $0.historyDescending) = (.items, .both, true) }
            let items = try await Exchange.run(Exchange(url: url, bearer: scene.token))
            #expect(seqs(items.object["items"]) == [12, 11])
        }
    }

    @Test func theChannelListComesInPieces() async throws {
        try await withSimulator { sim in
            let scene = try await scene(sim)
            for number in 1...4 {
                try await sim.createChannel(name: "room \(number)", members: [scene.echo.id])
            }
            let url = "\(scene.api)/channels"
            func names(_ rows: Any?) -> Int { (rows as? [[String: Any]])?.count ?? -1 }
            let whole = try await Exchange.run(Exchange(url: url, bearer: scene.token)).array.count
            await sim.updateSwitches { ($0.listPaging, $0.listPageSize) = (.cursor, 2) }
            let cursor = try await Exchange.run(
                ["", "?cursor=2", "?cursor=4", "?cursor=99"].map { Exchange(url: url + $0, bearer: scene.token) })
            #expect(cursor.map { names($0.object["items"]) } == [2, 2, whole - 4, 0])
            #expect(cursor[0].object["nextCursor"] as? String == "2" && cursor[2].object["nextCursor"] is NSNull)
            await sim.updateSwitches { $0.listPaging = .page }
            let page = try await Exchange.run(Exchange(url: url + "?page=2", bearer: scene.token))
            #expect(names(page.object["items"]) == 2 && page.object["total"] as? Int == whole)
            await sim.updateSwitches { $0.listPaging = .link }
            #expect(try await Exchange.run(Exchange(url: url, bearer: scene.token)).array.count == 2)
        }
    }

    /// A good status with a body that is no answer, instead of the work or after it.
    @Test(arguments: [false, true]) func anAnswerIsReplaced(_ isProcessed: Bool) async throws {
        try await withSimulator { sim in
            let scene = try await scene(sim)
            let path = "/api/channels/\(scene.channel.id)/messages"
            await sim.faults.update {
                $0.routes = [
                    RouteFault(method: "POST", path: path, count: 1, body: "<html>", isProcessed: isProcessed)
                ]
            }
            let url = "\(scene.api)/channels/\(scene.channel.id)/messages"
            let post = Exchange(url: url, method: "POST", bearer: scene.token, json: #"{"content":"x"}"#)
            let answers = try await Exchange.run([post, post])
            #expect(answers.map(\.status) == [200, 201])
            #expect(answers[0].body == "<html>")
            #expect(await sim.history(scene.channel.id).count == (isProcessed ? 2 : 1))
        }
    }

    @Test func membersJoinLeavePurposePresenceCommandsSystem() async throws {
        try await withSimulator { sim in
            let scene = try await scene(sim)
            let open = try await sim.createChannel(name: "open", isPublic: true)
            let base = "\(scene.api)/channels/\(open.id)"
            let mine = "\(scene.api)/channels/\(scene.channel.id)"
            let system = ["x-fabric-system-key": sim.systemKey]
            let presence = "\(scene.api)/agents/\(scene.echo.id)/presence"
            let answers = try await Exchange.run([
                Exchange(url: "\(base)/join", method: "POST", bearer: scene.token),
                Exchange(url: "\(base)/join", method: "POST", bearer: scene.token),
                Exchange(url: "\(base)/members", bearer: scene.token),
                Exchange(url: "\(base)/leave", method: "POST", bearer: scene.token),
                Exchange(url: base, method: "PATCH", bearer: scene.token, json: #"{"purpose":"talk"}"#),
                Exchange(url: base, method: "PATCH", bearer: scene.token, json: #"{"purpose":1}"#),
                Exchange(url: presence, method: "PUT", bearer: scene.token, json: #"{"status":"busy","source":"t"}"#),
                Exchange(url: presence, bearer: scene.token),
                Exchange(url: presence, method: "PUT", bearer: scene.token, json: #"{"status":"asleep"}"#),
                Exchange(url: "\(scene.api)/commands", method: "PUT", headers: system, json: #"{"commands":[1]}"#),
                Exchange(url: "\(scene.api)/commands", method: "PUT", bearer: scene.token, json: "{}"),
                Exchange(url: "\(scene.api)/commands", bearer: scene.token),
                Exchange(
                    url: "\(mine)/messages", method: "POST", headers: system,
                    json: #"{"content":"sys","wakeupUserId":"\#(scene.echo.id)"}"#),
                Exchange(
                    url: "\(mine)/messages", method: "POST", headers: ["x-fabric-system-key": "wrong"],
                    json: #"{"content":"sys"}"#),
                Exchange(url: "\(mine)/canvas", bearer: scene.token),
                Exchange(
                    url: "\(mine)/canvas", method: "PUT", bearer: scene.token, json: #"{"format":"md","content":"x"}"#),
                Exchange(url: "\(mine)/close", method: "POST", bearer: scene.token),
                Exchange(
                    url: "\(scene.api)/channels", method: "POST", bearer: scene.token,
                    json: #"{"guildId":"\#(guild)","name":"n","xType":"dm","memberUserIds":["\#(scene.human.id)"]}"#),
                Exchange(url: "\(scene.api)/channels", method: "POST", bearer: scene.token, json: #"{"name":"n"}"#),
            ])
            let expected = [
                201, 201, 200, 201, 200, 400, 200, 200, 400, 200, 403, 200, 201, 401, 200, 200, 201, 201, 400,
            ]
            #expect(answers.map(\.status) == expected)
            #expect(answers[2].array.map { $0["userId"] as? String } == [scene.echo.id])
            #expect(answers[7].object["status"] as? String == "busy")
            #expect(answers[11].body == #"{"commands":[1]}"#)
            #expect(answers[14].body.isEmpty)
            let stored = await sim.history(scene.channel.id)
            #expect(stored.map(\.author) == [World.systemAuthor] && stored[0].wakes == [scene.echo.id])
            #expect(await sim.channel(open.id)?.purpose == "talk")
            #expect(await sim.channel(scene.channel.id)?.closed == true)
        }
    }

    @Test func turnCommandsAreTakenAndAnswered() async throws {
        try await withSimulator { sim in
            let scene = try await scene(sim, type: .discuss)
            try await sim.post(as: scene.human.id, in: scene.channel.id, content: "what do you think?")
            let taken = try await Exchange.run(post(scene, "/no-reply"))
            #expect(taken.status == 201 && taken.object["intercepted"] as? Bool == true)
            let stored = await sim.history(scene.channel.id)
            #expect(stored.map(\.content) == ["what do you think?", "/ack"])
            #expect(stored[0].wakes == [scene.echo.id])
        }
    }

    @Test func filesGoUpAndDown() async throws {
        try await withSimulator { sim in
            let scene = try await scene(sim)
            let files = "\(scene.api)/files"
            let sent = try await Exchange.run([
                Exchange(
                    url: files, bearer: scene.token,
                    upload: ["name": "nöte.txt", "mediaType": "text/plain", "text": "hello"]),
                Exchange(url: files, upload: ["name": "n", "text": "x"]),
                Exchange(url: files, method: "POST", bearer: scene.token, json: "{}"),
            ])
            #expect(sent.map(\.status) == [201, 401, 400])
            let url = try #require(sent[0].object["url"] as? String)
            #expect(sent[0].object["size"] as? Int == 5 && sent[0].object["mimeType"] as? String == "text/plain")
            let guildURL = sim.endpoints[guild] ?? ""
            let got = try await Exchange.run([
                Exchange(url: guildURL + url, bearer: scene.token),
                Exchange(url: "\(guildURL)\(url)?access_token=\(scene.token)"),
                Exchange(url: guildURL + url),
                Exchange(url: "\(guildURL)/api/files/none", bearer: scene.token),
                Exchange(
                    url: "\(scene.api)/channels/\(scene.channel.id)/messages", method: "POST", bearer: scene.token,
                    json: #"{"content":"see","attachments":[{"url":"\#(url)"}]}"#),
            ])
            #expect(got.map(\.status) == [200, 200, 401, 404, 201])
            #expect(got[0].body == "hello" && got[1].body == "hello")
            let attached = await sim.history(scene.channel.id)[0].attachments
            #expect(
                attached == [
                    SimulatedAttachment(url: url, name: "nöte.txt", mediaType: "text/plain", size: 5)
                ])
            let file = try #require(await sim.files().first { $0.url == url })
            #expect(file.hash == ContentHash.digest(of: Array("hello".utf8)) && file.uploader == scene.echo.id)
            #expect(await sim.content(of: file) == Array("hello".utf8))
            #expect(await sim.requests.allSatisfy { !$0.target.contains(scene.token) })
        }
    }

    /// 100 MB each way; the content is made up on one side and only counted on the other.
    @Test func largeFilesStream() async throws {
        try await withSimulator { sim in
            let scene = try await scene(sim)
            let big = await sim.putFile(name: "big.bin", generated: GeneratedContent(size: 100_000_000))
            await sim.updateSwitches { ($0.uploadLimit, $0.keepsUploadsUpTo) = (100_000_000, 1_000_000) }
            let upload: (Int) -> Exchange = { size in
                Exchange(url: "\(scene.api)/files", bearer: scene.token, upload: ["name": "up.bin", "size": size])
            }
            let answers = try await Exchange.run([
                Exchange(url: (sim.endpoints[guild] ?? "") + big.url, bearer: scene.token, counts: true),
                upload(100_000_000),
            ])
            #expect(answers.map(\.status) == [200, 201])
            #expect(answers[0].body == "100000000")
            #expect(answers[1].object["size"] as? Int == 100_000_000)
            await sim.updateSwitches { $0.uploadLimit = 1000 }
            let refused = try await Exchange.run([upload(1001), upload(1000)])
            #expect(refused.map(\.status) == [413, 201])
        }
    }

    @Test func faultsOfChosenRequests() async throws {
        try await withSimulator { sim in
            let scene = try await scene(sim)
            let list = Exchange(url: "\(scene.api)/channels?guildId=\(guild)", bearer: scene.token)
            await sim.faults.add(RouteFault(path: "/api/channels", skip: 1, count: 2, status: 429, retryAfter: 7))
            let limited = try await Exchange.run([list, list, list, list])
            #expect(limited.map(\.status) == [200, 429, 429, 200])
            #expect(limited[1].headers["retry-after"] == "7")

            await sim.faults.add(RouteFault(server: guild, method: "POST", path: "/api", count: 1, drop: .after))
            await sim.faults.add(RouteFault(server: guild, method: "POST", path: "/api", count: 1, drop: .before))
            await sim.faults.add(RouteFault(method: "POST", path: "/api", user: scene.human.id, status: 500))
            let dropped = try await Exchange.run([
                post(scene, "kept", key: "k"), post(scene, "lost"), post(scene, "kept", key: "k"),
            ])
            #expect(dropped[0].error == "RemoteDisconnected" && dropped[2].error == nil)
            // Closed with a body in it that nobody had read, a connection is reset.
            #expect(["RemoteDisconnected", "ConnectionResetError"].contains(dropped[1].error ?? ""))
            #expect(await sim.history(scene.channel.id).map(\.content) == ["kept"])

            await sim.faults.set(Faults())
            await sim.faults.add(RouteFault(path: "/api/channels", count: 1, delay: 0.01, truncateAfter: 10))
            await sim.faults.add(RouteFault(path: "/api/channels", count: 1, drop: .never))
            var impatient = list
            impatient.timeout = 0.3
            let cut = try await Exchange.run([list, impatient, list])
            #expect(cut.map(\.error) == ["IncompleteRead", "TimeoutError", nil])

            let file = await sim.putFile(name: "a.txt", mediaType: "text/plain", bytes: Array("abc".utf8))
            let foreign = sim.foreignURL(of: file)
            await sim.faults.add(RouteFault(path: "/api/files", redirect: foreign))
            let there = try await Exchange.run([
                Exchange(url: (sim.endpoints[guild] ?? "") + file.url, bearer: scene.token), Exchange(url: foreign),
            ])
            #expect(there[0].status == 302 && there[0].headers["location"] == foreign)
            #expect(there[1].body == "abc")
            #expect(await sim.foreignRequests.map(\.hadAuthorization) == [false])
        }
    }

    @Test func deadServers() async throws {
        try await withSimulator { sim in
            let scene = try await scene(sim)
            var list = Exchange(url: "\(scene.api)/channels", bearer: scene.token)
            await sim.faults.update { $0.resets = ["sim-guild-1"] }
            #expect(try await Exchange.run(list).error == "ConnectionResetError")
            await sim.faults.set(Faults())
            await sim.faults.update { $0.blackhole = ["sim-guild-1"] }
            list.timeout = 0.3
            #expect(try await Exchange.run(list).error == "TimeoutError")
            await sim.faults.clear()
            try await sim.stopGuild(guild)
            #expect(try await Exchange.run(list).error == "ConnectionRefusedError")
            try await sim.startGuild(guild)
            list.timeout = 20
            #expect(try await Exchange.run(list).status == 200)
            try await sim.restartCenter(downFor: .milliseconds(1))
            #expect(try await Exchange.run(Exchange(url: "\(sim.centerBase)/auth/me")).status == 401)
        }
    }

    @Test func missingTokensStatedLifetimeAndAGuildThatNeedsCenter() async throws {
        try await withSimulator(.init(guilds: ["g1", "g2"])) { sim in
            let echo = try await sim.createUser(name: "echo")
            await sim.faults.update { $0.missingTokens = ["g1"] }
            await sim.updateSwitches { ($0.statesLifetime, $0.tokenForm, $0.guildNeedsCenter) = (true, .opaque, true) }
            let login = Exchange(
                url: "\(sim.centerBase)/auth/agent/login", method: "POST", json: #"{"apiKey":"\#(echo.apiKey)"}"#)
            let session = try await Exchange.run(login).object
            #expect((session["guilds"] as? [Any])?.count == 2 && session["expiresIn"] as? Int == 900)
            let tokens = try #require(session["guildAccessTokens"] as? [[String: Any]])
            #expect(tokens.count == 1 && tokens[0]["guildNodeId"] as? String == "g2")
            let token = try #require(tokens[0]["token"] as? String)
            #expect(token.hasPrefix("fgt_"))
            let list = Exchange(url: "\(sim.endpoints["g2"] ?? "")/api/channels?guildId=g2", bearer: token)
            await sim.stopCenter()
            #expect(try await Exchange.run(list).status == 503)
            try await sim.startCenter()
            #expect(try await Exchange.run(list).status == 200)
            let old = echo.apiKey
            let new = try await sim.rotateKey(of: echo.id)
            #expect(new != old)
            #expect(try await Exchange.run(login).status == 401)
        }
    }

    @Test func hostileRequestsGetAnswers() async throws {
        try await withSimulator { sim in
            let scene = try await scene(sim)
            let messages = "\(scene.api)/channels/\(scene.channel.id)/messages"
            let answers = try await Exchange.run([
                Exchange(url: messages, method: "POST", bearer: scene.token, json: "[1,2"),
                Exchange(url: messages, method: "POST", bearer: scene.token, json: #"{"content":5}"#),
                Exchange(url: "\(messages)?limit=-5&seqFrom=99999999999999999999", bearer: scene.token),
                Exchange(url: "\(messages)?limit=&seqFrom=%ZZ", bearer: scene.token),
                Exchange(url: "\(sim.endpoints[guild] ?? "")/", bearer: scene.token),
                Exchange(url: "\(sim.endpoints[guild] ?? "")/socket.io/?EIO=4&transport=polling"),
                Exchange(url: "\(scene.api)", bearer: scene.token),
                Exchange(url: "\(scene.api)/channels/../../etc/passwd", bearer: scene.token),
                Exchange(url: "\(scene.api)/files/..%2F..%2Fetc%2Fpasswd", bearer: scene.token),
                Exchange(url: "\(sim.centerBase)/auth/agent/login", method: "POST", json: #"{"apiKey":null}"#),
            ])
            #expect(answers.map(\.status) == [400, 400, 200, 200, 404, 400, 404, 404, 404, 401])
        }
    }

    @Test func controlRoutesDriveEverything() async throws {
        try await withSimulator { sim in
            let control = "\(sim.controlBase)/_sim"
            func send(_ path: String, _ json: String) -> Exchange {
                Exchange(url: "\(control)/\(path)", method: "POST", json: json)
            }
            let answers = try await Exchange.run([
                send("users", #"{"name":"ann"}"#), send("users", #"{"name":"bob"}"#),
                send("channels", #"{"name":"ops","type":"dm","members":["ann","bob"]}"#),
                send("post", #"{"user":"ann","channel":"ops","content":"hi bob"}"#),
                Exchange(url: "\(control)/wait?channel=ops&author=ann&contains=bob"),
                Exchange(url: "\(control)/wait?channel=ops&author=bob&timeout=0.05"),
                Exchange(url: "\(control)/messages?channel=ops"),
                send("files", #"{"name":"big","size":5000000000}"#),
                send("faults", #"{"repeats":3,"deaf":["sim-guild-1"]}"#),
                send("faults", #"{"repeat":3}"#),
                send("faults/route", #"{"path":"/api/x","status":500,"count":2}"#),
                Exchange(url: "\(control)/faults"),
                Exchange(url: "\(control)/faults", method: "DELETE"),
                send("switches", #"{"tokenLifetime":1.5,"rejectMode":"disconnectPacket"}"#),
                send("switches", #"{"rejectMode":"whatever"}"#),
                send("post", #"{"user":"zed","channel":"ops","content":"x"}"#),
                send("post", "not json"),
                send("restart", #"{"server":"center"}"#), send("restart", "{}"), send("expire", "{}"),
                Exchange(url: "\(control)/sockets"), Exchange(url: "\(control)/counters"), Exchange(url: control),
                Exchange(url: "\(control)/nowhere"),
            ])
            let expected = [
                201, 201, 201, 201, 200, 408, 200, 201, 200, 400, 200, 200, 200, 200, 400, 400, 400, 200, 200, 200, 200,
                200, 200, 404,
            ]
            #expect(answers.map(\.status) == expected)
            #expect(answers[4].object["content"] as? String == "hi bob")
            #expect(answers[7].object["size"] as? Int64 == 5_000_000_000)
            #expect((answers[9].object["message"] as? String)?.contains("repeats") == true)
            #expect(answers[11].object["repeats"] as? Int == 3)
            #expect(await sim.currentFaults() == Faults())
            #expect(await sim.switches.tokenLifetime == 1.5)
            #expect((answers[22].object["users"] as? [Any])?.count == 2)
        }
    }
}
