import ChannelStore
import FabricAccounts
import Foundation
import GatewayControl
import JSONBytes
import Settings
import Testing

@testable import FabricSetup

/// What `doctor` and `inspect` say of a database that gateways share. That it says so of a real one is tried with the
/// troubles of the operators' page.
@Suite struct DatabaseTests {
    private static func member(
        _ gateway: String, owned: Int = 10, beat: Double = 1, weight: Double = 1, isDraining: Bool = false,
        pid: Int32 = 7, digest: String = ""
    ) -> ClusterReport.Row {
        ClusterReport.Row(
            member: Member(
                id: "\(gateway)-\(pid)", gateway: gateway, weight: weight, wanted: 30, isDraining: isDraining,
                leaseSeconds: 8, host: "h", processIdentifier: pid, version: "1", settingsDigest: digest),
            owned: owned, secondsSinceBeat: beat)
    }

    private func inspection(_ members: [ClusterReport.Row] = []) -> PostgreSQLInspection {
        PostgreSQLInspection(
            serverVersion: "15.4", isEncrypted: true, version: 1, knownVersion: 1, members: members, accounts: 30)
    }

    private func checks(digest: String = "accounts:1 catchUp:2") throws -> DatabaseChecks {
        let findings = SettingsFindings()
        let node = try #require(
            SettingsDocument.parse(
                Array(#"{"store":{"postgresql":{"url":{"env":"X"},"gateway":"east"}}}"#.utf8), file: "f",
                findings: findings))
        let store = try #require(FabricConfiguration(node, directory: "/", findings: findings).sharedStore)
        return DatabaseChecks(
            store: store, address: try PostgreSQLAddress(Secret("postgresql://me:hunter2@db.example.org/fabric")),
            gateway: "east", digest: digest)
    }

    /// The levels of what is found, and all of its words.
    private func look(_ found: PostgreSQLInspection) throws -> (worst: DoctorFinding.Level, text: String) {
        let all = try checks().findings(found)
        #expect(all.allSatisfy { $0.level == .good || $0.level == .note || !$0.remedy.isEmpty })
        let worst = DoctorFinding.Level.allCases.last { level in all.contains { $0.level == level } } ?? .good
        return (worst, all.map { "\($0.place): \($0.what). \($0.remedy)" }.joined(separator: "\n"))
    }

    @Test func allWell() throws {
        let found = try look(inspection([Self.member("east"), Self.member("west"), Self.member("north")]))
        #expect(found.worst == .good, "\(found.text)")
        #expect(found.text.contains("PostgreSQL 15.4 answers, encrypted, its certificate verified"))
        #expect(found.text.contains("gateway west: heard 1.0 s ago, 10 accounts") && !found.text.contains("hunter2"))
    }

    @Test func troublesAreNamed() throws {
        var ahead = inspection([Self.member("east")])
        ahead.clockAhead = -12.34
        let clock = try look(ahead)
        #expect(
            clock.worst == .warning && clock.text.contains("clock is 12.3 s behind the database's"), "\(clock.text)")
        ahead.clockAhead = .infinity
        #expect(try look(ahead).worst == .warning)

        var newer = inspection()
        newer.version = nil
        #expect(try look(newer).worst == .note)
        newer.missingRights = ["CREATE on database fabric"]
        let rights = try look(newer)
        #expect(rights.worst == .error && rights.text.contains("CREATE on database fabric"))
        #expect(rights.text.contains("CREATE SCHEMA fabric AUTHORIZATION \"me\""))
    }

    @Test func gatewaysThatAreNotWell() throws {
        let silent = try look(inspection([Self.member("east"), Self.member("west", beat: 8)]))
        #expect(silent.worst == .warning && silent.text.contains("gateway west: it has not been heard for 8.0 s"))
        #expect(silent.text.contains("process 7 on h"))
        let none = try look(
            inspection([Self.member("east", weight: 1000), Self.member("west", owned: 0, weight: 0.001)]))
        #expect(none.worst == .warning && none.text.contains("gateway west: its share is 0 accounts"), "\(none.text)")
        let drained = try look(inspection([Self.member("east"), Self.member("west", owned: 0, isDraining: true)]))
        #expect(drained.worst == .note && drained.text.contains("gateway west: it is drained"))
        let twins = try look(inspection([Self.member("east", pid: 1), Self.member("east", pid: 2)]))
        #expect(
            twins.worst == .error
                && twins.text.contains("2 gateways call themselves so: process 1 on h, process 2 on h"))
        // Two members of one process, while its module is reloaded.
        var reloading = [Self.member("east"), Self.member("east", owned: 0)]
        reloading[1].member.id = "other"
        #expect(try look(inspection(reloading)).worst == .good)
    }

    @Test func settingsThatDiffer() throws {
        let west = try look(inspection([Self.member("west", digest: "accounts:1 catchUp:3")]))
        #expect(
            west.worst == .warning && west.text.contains("gateway west: it has other settings than this one: catchUp"))
        let own = try look(inspection([Self.member("east", digest: "accounts:2 catchUp:2")]))
        #expect(own.worst == .warning && own.text.contains("other settings than stand in the file: accounts"))
        #expect(own.text.contains("`gateway reload`"))
        #expect(try look(inspection([Self.member("west", digest: "accounts:1 catchUp:2")])).worst == .good)
    }

    @Test func accountsThatNobodyRuns() throws {
        var found = inspection([Self.member("east")])
        found.unowned = 3
        #expect(try look(found).text.contains("3 accounts are run by no gateway"))
        found.members = [Self.member("east", isDraining: true)]
        #expect(
            try look(found).text.contains("3 accounts are run by no gateway, for every gateway that runs is drained"))
        found.members = []
        #expect(try !look(found).text.contains("run by no gateway"), "no gateway runs at all: that is said elsewhere")
    }

    // MARK: The commands

    private let section = """
        {"channels":{"fabric":{"centerApiBase":"http://localhost:7001/api",
         "store":{"postgresql":{"url":%,"gateway":"east"}}}}}
        """

    private func bench(_ url: String) throws -> Bench {
        let bench = try Bench()
        try bench.write(section.replacingOccurrences(of: "%", with: url))
        chmod(bench.file, 0o600)
        return bench
    }

    @Test func doctorAsksTheDatabaseUnlessOffline() async throws {
        let bench = try bench("\"postgresql://me:hunter2@db.example.org/fabric\"")
        var world = bench.world()
        world.inspectDatabase = { address, schema throws(StoreError) in
            throw StoreError("it does not answer", path: "\(address)", remedy: "start \(schema)")
        }
        let place = "PostgreSQL database fabric at db.example.org as me, schema fabric"
        let found = await Doctor(world: world, file: bench.file).examine(offline: false)
        #expect(found.contains(DoctorFinding(.error, "it does not answer", at: place, remedy: "Start fabric")))
        let offline = await Doctor(world: world, file: bench.file).examine(offline: true)
        #expect(offline.contains(DoctorFinding(.good, "the accounts are shared through it", at: place)))
        #expect(!"\(found)\(offline)".contains("hunter2"))
    }

    @Test func aSecretThatOnlyTheGatewayHasIsNoMistake() async throws {
        let bench = try bench("{\"env\":\"SURELY_NO_SUCH_URL\"}")
        func worst(_ world: SetupWorld) async -> DoctorFinding? {
            await Doctor(world: world, file: bench.file).examine(offline: false).first {
                $0.what.contains("SURELY_NO_SUCH_URL")
            }
        }
        #expect(await worst(bench.world())?.level == .error)
        try FileManager.default.createDirectory(atPath: bench.path + "/state", withIntermediateDirectories: true)
        let status: JSONValue = ["plugins": [["id": "fabric", "sharing": ["sharing": true]]], "accounts": []]
        let running = await worst(bench.world(gateway: { _ in .result(status) }))
        #expect(running?.level == .good && running?.what.contains("the running gateway has it") == true)
    }

    @Test func aGatewayThatRunsWithAnotherDatabaseIsNamed() async throws {
        let bench = try bench("\"postgresql://me:hunter2@db.example.org/fabric\"")
        try FileManager.default.createDirectory(atPath: bench.path + "/state", withIntermediateDirectories: true)
        func found(_ running: String) async -> [DoctorFinding] {
            let status: JSONValue = [
                "plugins": [
                    [
                        "id": "fabric",
                        "sharing": ["sharing": true, "database": ["place": .string(running), "schema": "fabric"]],
                    ]
                ], "accounts": [],
            ]
            let world = bench.world(gateway: { _ in .result(status) })
            return await Doctor(world: world, file: bench.file).examine(offline: true).filter {
                $0.what.contains("shares another one")
            }
        }
        #expect(await found("PostgreSQL database fabric at db.example.org as me").isEmpty)
        let other = await found("PostgreSQL database fabric at old.example.org as me")
        #expect(other.map(\.level) == [.error])
        #expect(other.first?.what.contains("at old.example.org as me, schema fabric") == true)
    }

    @Test func inspectSaysWhereItIsKeptWithoutLooking() async throws {
        let bench = try bench("{\"env\":\"SURELY_NO_SUCH_URL\"}")
        #expect(await Inspector(world: bench.world(), file: bench.file).run(json: false, probe: false) == 0)
        #expect(
            bench.output.contains(
                "the PostgreSQL database named by env SURELY_NO_SUCH_URL, schema fabric, shared by this gateway as east"
            ))
        let other = try self.bench("\"postgresql://me:hunter2@db.example.org/fabric\"")
        #expect(await Inspector(world: other.world(), file: other.file).run(json: true, probe: false) == 0)
        let store = try JSONValue(parsing: Array(other.output.utf8))["store"]
        #expect(store == ["kind": "postgresql", "url": "inline", "schema": "fabric", "gateway": "east"])
        #expect(!other.output.contains("hunter2"))
        try bench.write("{}")
        #expect(await Inspector(world: bench.world(), file: bench.file).run(json: false, probe: false) == 0)
        #expect(
            bench.output.contains("what survives is kept in \(bench.path)/state/channel.db"), "\(bench.output)")
    }
}
