import FabricSimulator
import Foundation
import JSONBytes
import Testing

@testable import FabricChannel

/// A new configuration under a running account: what it costs, and what a refused one does.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct SettingsReloadTests {
    private func logins(_ world: World, _ scene: World.Scene) async -> Int {
        await world.sim.counters.logins[scene.agent.id] ?? 0
    }

    private func pem(_ filler: UInt8) -> Data {
        let bytes: [UInt8] = [0x30, 0x82, 0x01, 0x2C] + [UInt8](repeating: filler, count: 300)
        return Data(
            "-----BEGIN CERTIFICATE-----\n\(Data(bytes).base64EncodedString())\n-----END CERTIFICATE-----\n".utf8)
    }

    @Test func aSettingOfTheChannelLogsNobodyInAndDropsNoSocket() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            world.echo()
            let connects = await world.sim.counters.connects
            for settings: [String: JSONValue] in [
                ["coalesce": false], ["sessionSeconds": 100], ["turnTimeoutSeconds": 77], ["commandsSyncKey": "new"],
            ] {
                let report = try await world.configure(settings, accounts: ["agent": scene.agent.apiKey])
                #expect(report["changed"]?.array == [] && report["removed"]?.array == [], "\(settings)")
            }
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "still there?")
            _ = try await world.sim.waitForMessage(in: scene.channel.id, timeout: .seconds(60)) {
                $0.content == "echo: still there?"
            }
            #expect(await logins(world, scene) == 1)
            #expect(await world.sim.counters.connects == connects)
        }
    }

    @Test func newAuthoritiesRestartAnAccountWithoutALogin() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let file = world.directory + "/ca.pem"
            for filler in [1, 2] as [UInt8] {
                try pem(filler).write(to: URL(fileURLWithPath: file))
                let report = try await world.configure(
                    ["certificateAuthorityFile": .string(file)], accounts: ["agent": scene.agent.apiKey])
                #expect(report["changed"]?.array == ["agent"], "content \(filler)")
                try await world.stop("agent")
                try await world.start("agent")
                try await world.sim.waitForSockets(user: scene.agent.id, joined: scene.channel.id)
            }
            #expect(await logins(world, scene) == 1)
        }
    }

    /// Another key logs in, and a block of the old one does not concern it.
    @Test func newCredentialsLogInAtTheStart() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let other = try await world.sim.createUser(name: "other")
            let report = try await world.configure([:], accounts: ["agent": other.apiKey])
            #expect(report["changed"]?.array == ["agent"])
            #expect(await world.sim.counters.logins[other.id] == nil, "not before it starts")
            try await world.stop("agent")
            try await world.start("agent")
            try await world.sim.waitForSockets(user: other.id)
            #expect(await world.sim.counters.logins[other.id] == 1)
            #expect(await logins(world, scene) == 1)
        }
    }

    @Test(arguments: [true, false]) func aTrialAndARefusedConfigurationHaveNoEffect(_ isTrial: Bool) async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let other = try await world.sim.createUser(name: "other")
            let section: JSONValue = [
                "centerApiBase": .string(world.sim.centerBase), "coalesce": isTrial ? false : 7,
                "accounts": ["agent": ["fabricApiKey": .string(other.apiKey)]],
            ]
            let request: JSONValue = [
                "file": "gateway.json", "directory": .string(world.directory),
                "stateDirectory": .string(world.directory), "settings": section, "trial": .bool(isTrial),
            ]
            for _ in 0..<3 {
                let result: RequestResult = await withCheckedContinuation { done in
                    world.plugin.request({ $0.configure($1, completion: $2) }, request.serialized) {
                        done.resume(returning: $0)
                    }
                }
                #expect(result.code == (isTrial ? .ok : .invalid))
                let report = try JSONValue(parsing: result.json)
                if isTrial { #expect(report["changed"]?.array == ["agent"]) }
            }
            // A new token and a new socket come from the configuration that is in force.
            await world.sim.expireTokens(centerToo: true)
            await world.sim.dropSockets(guild: World.guild)
            try await world.sim.post(as: scene.human.id, in: scene.channel.id, content: "to the old one")
            _ = try await world.gateway.delivery("old") { $0.text == "to the old one" }
            #expect(await world.sim.counters.logins[other.id] == nil)
            #expect(try await world.configure([:], accounts: ["agent": scene.agent.apiKey])["changed"]?.array == [])
        }
    }
}
