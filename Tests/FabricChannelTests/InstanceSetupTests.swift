import FabricAccounts
import Foundation
import JSONBytes
import Testing

@testable import FabricChannel

/// What a configuration means for accounts that run, and what is refused before anything is touched.
@Suite struct InstanceSetupTests {
    /// A directory with a configuration's files.
    private final class Place {
        let path = NSTemporaryDirectory() + "setup-\(UUID().uuidString)"

        init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(atPath: path) }

        func write(_ text: String, to name: String) throws {
            try Data(text.utf8).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
        }

        func setup(
            _ settings: [String: JSONValue] = [:], accounts: [String: JSONValue] = ["a": "1", "b": "2"],
            replacing old: InstanceSetup? = nil
        ) throws -> InstanceSetup {
            var section = settings
            section["centerApiBase"] = section["centerApiBase"] ?? "http://localhost:7001/api"
            section["accounts"] = .object(
                accounts.mapValues { if case .object = $0 { $0 } else { ["fabricApiKey": $0] } })
            let request: JSONValue = [
                "file": "gateway.json", "directory": .string(path), "stateDirectory": .string(path),
                "settings": .object(section),
            ]
            return try InstanceSetup(request: request.serialized, replacing: old)
        }
    }

    private static func pem(_ filler: UInt8) -> String {
        let bytes: [UInt8] = [0x30, 0x82, 0x01, 0x2C] + [UInt8](repeating: filler, count: 300)
        return "-----BEGIN CERTIFICATE-----\n" + Data(bytes).base64EncodedString() + "\n-----END CERTIFICATE-----\n"
    }

    @Test func eachAccountIsComparedByItself() throws {
        let place = try Place()
        let old = try place.setup()
        #expect(old.changes(from: nil) == InstanceSetup.Changes(added: ["a", "b"]))
        #expect(try place.setup().changes(from: old) == InstanceSetup.Changes())
        let next = try place.setup(accounts: ["a": "other", "c": "3"])
        #expect(
            next.changes(from: old) == InstanceSetup.Changes(added: ["c"], credentialsChanged: ["a"], removed: ["b"]))
        let disabled = try place.setup(accounts: ["a": ["fabricApiKey": "1", "enabled": false], "b": "2"])
        #expect(disabled.changes(from: old) == InstanceSetup.Changes(restarted: ["a"]))
        #expect(next.changes(from: old).changed == ["a"])
    }

    /// The key counts, not the place where it stands.
    @Test func aKeyIsComparedByItsValue() throws {
        let place = try Place()
        let old = try place.setup()
        try place.write("1\n", to: "key")
        let file: [String: JSONValue] = ["a": ["fabricApiKey": ["file": "./key"]], "b": "2"]
        let moved = try place.setup(accounts: file)
        #expect(moved.changes(from: old) == InstanceSetup.Changes())
        try place.write("9", to: "key")
        let rotated = try place.setup(accounts: file)
        #expect(rotated.changes(from: moved).credentialsChanged == ["a"])
        try FileManager.default.removeItem(atPath: place.path + "/key")
        #expect(try place.setup(accounts: file).changes(from: rotated) == InstanceSetup.Changes(restarted: ["a"]))
    }

    @Test func anotherCenterIsAnotherCredential() throws {
        let place = try Place()
        let next = try place.setup(["centerApiBase": "http://other/api"])
        #expect(next.changes(from: try place.setup()) == InstanceSetup.Changes(credentialsChanged: ["a", "b"]))
    }

    private static let adoptable: [(String, JSONValue)] = [
        ("coalesce", false), ("turnTimeoutSeconds", 5), ("channelSyncSeconds", 9), ("catchUp", ["wake": "never"]),
        ("catchUp", ["maximumMessages": 3]), ("catchUp", ["maximumHours": 1]),
        ("catchUp", ["turnPatienceSeconds": 1]), ("attachments", ["maximumMegabytes": 1]),
        ("attachments", ["allowPrivateAddresses": true]),
        ("commandsSyncKey", "x"), ("presence", false), ("guestPatienceSeconds", 1),
    ]

    @Test(arguments: adoptable)
    func aRunningAccountTakesUp(_ key: String, _ value: JSONValue) throws {
        let place = try Place()
        let changes = try place.setup([key: value]).changes(from: try place.setup())
        #expect(changes == InstanceSetup.Changes(adopted: ["a", "b"]))
        // And an account that cannot run takes up nothing.
        let idle: [String: JSONValue] = ["a": ["fabricApiKey": "1", "enabled": false]]
        let none = try place.setup([key: value], accounts: idle).changes(from: try place.setup(accounts: idle))
        #expect(none == InstanceSetup.Changes())
    }

    @Test func whatNoAccountDependsOnConcernsNone() throws {
        let place = try Place()
        let old = try place.setup()
        try place.write("{\"entries\": []}", to: "other.json")
        for settings: [String: JSONValue] in [
            ["sessionSeconds": 60], ["connectsAtOnce": 5], ["loginsPerSecond": 5], ["loginsPerSecond": 0],
            ["identityFile": "./other.json"],
        ] {
            #expect(try place.setup(settings).changes(from: old) == InstanceSetup.Changes(), "\(settings)")
        }
    }

    @Test func authoritiesAreComparedByContentAndGarbageIsRefused() throws {
        let place = try Place()
        let settings: [String: JSONValue] = ["certificateAuthorityFile": "./ca.pem"]
        #expect(throws: InstanceSetup.Findings.self, "missing") { try place.setup(settings) }
        try place.write(Self.pem(1), to: "ca.pem")
        let old = try place.setup(settings)
        #expect(old.changes(from: try place.setup()) == InstanceSetup.Changes(restarted: ["a", "b"]))
        #expect(try place.setup(settings).changes(from: old) == InstanceSetup.Changes())
        try place.write(Self.pem(2), to: "ca.pem")
        let replaced = try place.setup(settings)
        #expect(replaced.changes(from: old) == InstanceSetup.Changes(restarted: ["a", "b"]))
        #expect(replaced.authoritiesPath != old.authoritiesPath && replaced.settings.certificateAuthorityFile != nil)
        try place.write("garbage", to: "ca.pem")
        do {
            _ = try place.setup(settings)
            Issue.record("taken")
        } catch let findings as InstanceSetup.Findings {
            let error = try #require(findings.errors.first)
            #expect(error.keyPath == "channels.fabric.certificateAuthorityFile" && error.file == "gateway.json")
            #expect(error.problem.contains("ca.pem: there is no certificate in it"))
        }
    }

    private static let nineteen =
        "{\"entries\": ["
        + (1...19).map { "{\"agentId\": \"x\($0)\", \"fabricApiKey\": \"k\($0)\"}" }.joined(separator: ",\n") + "]}"

    /// One account in the settings, nineteen in the identity file: none of these may look removed because the file broke.
    @Test(arguments: ["cut off", "empty", "garbage", "missing", "a directory", "unreadable shape"])
    func aBrokenIdentityFileRemovesNobody(_ how: String) throws {
        let place = try Place()
        try place.write(Self.nineteen, to: "fabric-identity.json")
        let old = try place.setup()
        #expect(old.changes(from: nil).added.count == 21)
        let path = place.path + "/fabric-identity.json"
        switch how {
        case "cut off": try place.write(String(Self.nineteen.prefix(400)), to: "fabric-identity.json")
        case "empty": try place.write("", to: "fabric-identity.json")
        case "garbage": try place.write("\u{0}\u{1}garbage", to: "fabric-identity.json")
        case "unreadable shape": try place.write("{\"entries\": {}}", to: "fabric-identity.json")
        case "a directory":
            try FileManager.default.removeItem(atPath: path)
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        default: try FileManager.default.removeItem(atPath: path)
        }
        do {
            _ = try place.setup(replacing: old)
            Issue.record("taken")
        } catch let findings as InstanceSetup.Findings {
            #expect(findings.errors.count == 1 && findings.errors[0].file == path)
            #expect(findings.result.code == .invalid)
        }
    }

    /// At a start the accounts of the last run are there, each with the reason; in the process that read it, and where nothing
    /// is remembered, a broken file is refused.
    @Test(arguments: ["cut off", "gone"]) func aStartWithABrokenIdentityFileForgetsNobody(_ how: String) throws {
        let place = try Place()
        try place.write(Self.nineteen, to: "fabric-identity.json")
        try place.setup().rememberIdentities()
        let path = place.path + "/fabric-identity.json"
        if how == "gone" {
            try FileManager.default.removeItem(atPath: path)
        } else {
            try place.write(String(Self.nineteen.prefix(400)), to: "fabric-identity.json")
        }
        #expect(throws: InstanceSetup.Findings.self, "this process has read it") { try place.setup() }
        let memory = place.path + "/identities.json"
        let text = try String(contentsOfFile: memory, encoding: .utf8)
        #expect(!text.contains("k19"), "names, no keys")
        try place.write(
            text.replacingOccurrences(of: RememberedIdentities.thisProcess, with: "another"), to: "identities.json")
        let start = try place.setup()
        #expect(start.accounts.accounts.count == 21 && start.accounts.accounts.count { $0.mayStart } == 2)
        #expect(start.accounts.accounts.suffix(19).allSatisfy { !$0.configured && $0.reason.contains(path) })
        #expect(start.identityFault != nil && !start.knowsAllAccounts)
        start.rememberIdentities()
        #expect(try String(contentsOfFile: memory, encoding: .utf8).contains("another"), "nothing new was learnt")
        // A reload with the file as it was brings them back.
        try place.write(Self.nineteen, to: "fabric-identity.json")
        let next = try place.setup(replacing: start)
        #expect(next.accounts.accounts.count { $0.mayStart } == 21 && next.identityFault == nil)
        #expect(next.changes(from: start).changed.count == 19 && next.changes(from: start).removed.isEmpty)
        // A file that was emptied on purpose is no fault.
        try place.write("{\"entries\": []}", to: "fabric-identity.json")
        #expect(try place.setup().accounts.accounts.count == 2)
    }

    @Test func aNamedIdentityFileMustBeThere() throws {
        let place = try Place()
        let settings: [String: JSONValue] = ["identityFile": "./mine.json"]
        #expect(throws: InstanceSetup.Findings.self) { try place.setup(settings) }
        try place.write("{\"entries\": []}", to: "mine.json")
        let old = try place.setup(settings)
        // The one that is no longer named is not missed.
        try FileManager.default.removeItem(atPath: place.path + "/mine.json")
        #expect(try place.setup(replacing: old).changes(from: old) == InstanceSetup.Changes())
    }

    @Test func theAnswerNamesEveryList() throws {
        let place = try Place()
        let old = try place.setup()
        let next = try place.setup(["coalesce": false], accounts: ["a": "1", "b": "3"])
        let report = next.report(next.changes(from: old))
        #expect(report["adopted"]?.array == ["a"] && report["changed"]?.array == ["b"])
        #expect(report["added"]?.array == [] && report["removed"]?.array == [])
    }

    private func shared(_ url: String, weight: Double = 1) -> [String: JSONValue] {
        ["store": ["postgresql": ["url": .string(url), "gateway": "east", "weight": .double(weight)]]]
    }

    @Test func aPasswordOfTheDatabaseMayChangeAndTheDatabaseMayNot() throws {
        let place = try Place()
        let old = try place.setup(shared("postgresql://me:first@localhost/fabric"))
        let changed = try place.setup(shared("postgresql://me:second@localhost/fabric"), replacing: old)
        #expect(changed.changes(from: old) == InstanceSetup.Changes(settings: ["store.postgresql.url"]))
        let heavier = try place.setup(shared("postgresql://me:first@localhost/fabric", weight: 2), replacing: old)
        #expect(heavier.changes(from: old) == InstanceSetup.Changes(settings: ["store.postgresql.weight"]))
        for url in [
            "postgresql://me:first@localhost/other", "postgresql://you:first@localhost/fabric",
            "postgresql://me:first@localhost:5433/fabric",
        ] {
            #expect(throws: InstanceSetup.Findings.self) { try place.setup(shared(url), replacing: old) }
        }
    }

    /// The settings of a module that is loaded anew are those in effect, but what they refer to may have changed.
    @Test func aModuleThatIsLoadedAnewKeepsTheDatabase() throws {
        let place = try Place()
        let first = try place.setup(shared("postgresql://me:first@localhost/fabric"))
        RememberedStore.write(first.rememberedStore, place.path)
        _ = try place.setup(shared("postgresql://me:second@localhost/fabric"))
        for settings in [shared("postgresql://me:first@localhost/other"), [:]] {
            do {
                _ = try place.setup(settings)
                Issue.record("another database was taken")
            } catch let findings as InstanceSetup.Findings {
                #expect(findings.errors.first?.problem.contains("cannot be changed") == true)
            }
        }
        // The next process may have any.
        RememberedStore.write(
            RememberedStore(store: first.rememberedStore?.store ?? "", process: "another"), place.path)
        _ = try place.setup(shared("postgresql://me:first@localhost/other"))
        let kept = try String(contentsOfFile: place.path + "/sharing.json", encoding: .utf8)
        #expect(!kept.contains("first"))
        RememberedStore.write(nil, place.path)
        #expect(RememberedStore.read(place.path) == nil)
    }
}
