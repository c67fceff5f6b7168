import FabricSimulator
import Foundation
import JSONBytes
import PostgreSQLTestServer
import Testing

/// The rows of Documentation/Troubles.md about many gateways: each trouble is made with a real database.
@Suite(.timeLimit(.minutes(5)), .enabled(if: PostgreSQLServer.isAvailable, "PostgreSQL is not installed"))
struct SharedTroublesTests {
    private func section(
        _ url: String, gateway: String = "east", center: String = "http://127.0.0.1:1/api", key: String = "fak_x"
    )
        -> String
    {
        """
        {"centerApiBase":"\(center)","accounts":{"echo":{"fabricApiKey":"\(key)"}},
         "store":{"postgresql":{"url":"\(url)","gateway":"\(gateway)","beatSeconds":0.2,"leaseSeconds":20}}}
        """
    }
    private let agents = #"{"echo":{"builtin":"echo"}}"#

    private func doctor(_ desk: Desk) async throws -> String { try await desk.run("fabric-setup", ["doctor"]).all }

    @Test func aDatabaseThatCannotBeUsed() async throws {
        let server = try PostgreSQLServer()
        let desk = try Desk()
        try desk.configure(section("postgresql://me:hunter2@db.example.org/x?sslmode=require"), agents: agents)
        for (program, arguments) in [
            ("fabric-setup", ["doctor", "--offline"]), ("fabric-setup", ["inspect"]), ("gateway", ["run"]),
        ] {
            let answer = try await desk.run(program, arguments)
            try trouble("`does not check who answers`", in: answer.all)
            #expect(answer.code != 0 && !answer.all.contains("hunter2"), "\(answer.all)")
        }

        try desk.configure(section("postgresql://me:hunter2@/x?host=/surely/nowhere"), agents: agents)
        let nowhere = try await doctor(desk)
        try trouble("the database cannot be reached, or refuses", in: nowhere)
        #expect(nowhere.contains("/surely/nowhere") && nowhere.contains("ERROR"), "\(nowhere)")
        #expect(!nowhere.contains("hunter2"))

        try server.query("CREATE ROLE weak LOGIN")
        try desk.configure(section(server.url(database: "fabric", user: "weak")), agents: agents)
        let weak = try await doctor(desk)
        try trouble("`has no right to what it needs`", in: weak)
        // What is advised helps.
        try server.query("CREATE SCHEMA fabric AUTHORIZATION \"weak\"")
        let strong = try await doctor(desk)
        #expect(strong.contains("there are no tables in it yet") && !strong.contains("no right"), "\(strong)")
        _ = try await desk.withGateway { _ in
            _ = try await desk.again("membership", ["status"]) { $0.output.contains("this one") }
            try server.query("ALTER ROLE weak NOLOGIN")
            try server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'weak'")
            try await trouble("`the database refuses this gateway …`", asking: desk)
            try server.query("ALTER ROLE weak LOGIN")
            _ = try await desk.again("well", ["status"]) { !$0.output.contains("the database") }
            // What a reload takes up is said, also where it is no account's.
            let other = server.url(database: "fabric", user: "weak:hunter2")
            try desk.configure(section(other), agents: agents)
            let reload = try await desk.run("gateway", ["reload"])
            #expect(reload.code == 0, "\(reload.all)")
            #expect(reload.output == "settings taken up: channels.fabric.store.postgresql.url\n")
        }
        #expect(try await doctor(desk).contains("its tables have version"))
        try server.query("UPDATE fabric.store SET version = 99")
        try trouble("`the tables have version …, and this build knows`", in: try await doctor(desk))
    }

    /// What others wrote there last is what is told of them.
    @Test func gatewaysThatAreNotAsTheyShouldBe() async throws {
        let server = try PostgreSQLServer()
        let desk = try Desk()
        try desk.configure(section(server.url), agents: agents)
        _ = try await desk.withGateway { _ in
            _ = try await desk.again("membership", ["status"]) { $0.output.contains("this one") }
        }
        func member(_ gateway: String, process: Int, weight: Double = 1, beat: String = "now()", settings: String = "")
            throws
        {
            try server.query(
                """
                INSERT INTO fabric.member (id, gateway, weight, wanted, draining, lease, host, process, version, settings,
                 backend, beat)
                VALUES ('\(gateway)-\(process)', '\(gateway)', \(weight), 1, false, 3600, 'h', \(process), '1', '\(settings)',
                 'b', \(beat))
                """)
        }
        try member("west", process: 1, settings: "accounts:0 catchUp:0")
        try member("west", process: 2)
        try member("north", process: 3, weight: 0.001)
        try member("south", process: 4, beat: "now() - interval '2 hours'")
        let found = try await doctor(desk)
        try trouble("`gateways call themselves so`", in: found)
        try trouble("`it has other settings than this one: …`", in: found)
        try trouble("`its share is 0 accounts`", in: found)
        try trouble("`it has not been heard for …`", in: found)
        _ = try await desk.withGateway { _ in
            _ = try await desk.again("membership", ["status"]) { $0.output.contains("this one") }
            try member("east", process: 9, beat: "now() + interval '5 minutes'")
            let twin = try await trouble("`calls itself gateway … too`", asking: desk)
            #expect(twin.code == 1)
        }
    }

    @Test func accountsThatAreElsewhereOrNowhere() async throws {
        let server = try PostgreSQLServer()
        try await withSimulator { sim in
            let agent = try await sim.createUser(name: "echo")
            let human = try await sim.createUser(name: "ann")
            _ = try await sim.createChannel(
                guild: "sim-guild-1", name: "general", type: .general,
                members: [agent.id, human.id])
            let (east, west) = (try Desk(), try Desk())
            for (desk, name) in [(east, "east"), (west, "west")] {
                try desk.configure(
                    section(server.url, gateway: name, center: sim.centerBase, key: agent.apiKey), agents: agents)
            }
            _ = try await east.withGateway { _ in
                try await east.status("connected") { $0["connected"]?.bool == true }
                let alone = try await east.run("gateway", ["drain", "--within", "5"])
                #expect(alone.code == 1)
                try trouble("`no other gateway is there to take the accounts`", in: alone.all)

                _ = try await west.withGateway { _ in
                    _ = try await west.again("who runs it", ["status"]) { $0.output.contains("gateway east runs it") }
                    #expect(try await west.run("gateway", ["status"]).code == 0)
                    for arguments in [
                        ["send", "--account", "echo", "--to", "#general", "--text", "hi"],
                        ["tool", "fabric-guild-list", "--account", "echo"],
                        ["deadletters", "list", "--account", "echo"],
                    ] {
                        let answer = try await west.run("gateway", arguments)
                        #expect(answer.code == 1 && answer.all.contains("gateway east runs it"), "\(answer.all)")
                        try trouble("`the account is on standby here: …`", in: answer.all)
                    }
                    // It hears of the other with its next beat.
                    _ = try await east.again("drained", ["drain", "--within", "30"]) { $0.code == 0 }
                    try await west.status("connected") { $0["connected"]?.bool == true }
                }
                // The one that is left takes nothing.
                try await trouble("`no gateway runs it`", asking: east)
                #expect(try await east.run("gateway", ["drain", "--undo"]).code == 0)
                try await east.status("connected") { $0["connected"]?.bool == true }

                try server.stop()
                let away = try await trouble("`the database does not answer …`", asking: east)
                #expect(away.code == 1)
                try server.start()
                let well = try await east.again("all well", ["status"]) { $0.code == 0 }
                #expect(well.output.contains("all well"))
            }
        }
    }
}
