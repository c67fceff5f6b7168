import Foundation
import JSONBytes
import Settings
import Testing

@testable import FabricAccounts

/// A directory that goes with the test.
final class Directory {
    let path = NSTemporaryDirectory() + "identity-\(UUID().uuidString)"

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    var file: String { path + "/fabric-identity.json" }
    func write(_ text: String) throws { try text.write(toFile: file, atomically: false, encoding: .utf8) }
    var text: String { (try? String(contentsOfFile: file, encoding: .utf8)) ?? "" }
    var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }
}

@Suite struct WriterTests {
    func binding(_ id: String, _ key: String = "fak_1", user: String? = "u1") -> IdentityBinding {
        IdentityBinding(agentId: id, apiKey: Secret(key), userId: user, email: "e@x")
    }

    @Test func bindsReplacesAndUnbinds() throws {
        let directory = try Directory()
        let writer = IdentityWriter(path: directory.file)
        #expect(try writer.bind(binding("a")) == .added)
        #expect(try writer.bind(binding("b\"é", "fak_2")) == .added)
        #expect(try writer.bind(binding("a", "fak_3", user: nil)) == .replaced)
        let found = IdentityFile.read(directory.file)
        #expect(found.problems.isEmpty && found.entries.map(\.agentId) == ["a", "b\"é"])
        #expect(found.entries[0].apiKey == .inline(Secret("fak_3")) && found.entries[0].userId == nil)
        #expect(found.entries[1].userId == "u1" && found.entries[1].email == "e@x")
        let mode = try FileManager.default.attributesOfItem(atPath: directory.file)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(try writer.unbind("a") == .removed)
        #expect(try writer.unbind("a") == .unchanged)
        #expect(try writer.unbind("b\"é") == .removed)
        #expect(IdentityFile.read(directory.file).entries.isEmpty)
        #expect(directory.names == ["fabric-identity.json", "fabric-identity.json.lock"])
        #expect(throws: SettingsError.self) { try writer.bind(binding("")) }
        #expect(throws: SettingsError.self) { try IdentityWriter(path: "/nonexistent/x").bind(binding("a")) }
    }

    @Test func keepsWhatIsUnknownAndChangesTheShape() throws {
        let directory = try Directory()
        try directory.write(
            """
            {"version": 3, "note": {"z": 1, "a": [true]},
             "entries": [{"extra": 1.5, "agentId": "a", "fabricApiKey": "old", "fabricUserId": "old"}],
             "agents": {"b": {"enabled": false, "fabric_api_key": "kb", "fabric_email": "b@x", "more": null}}}
            """)
        #expect(try IdentityWriter(path: directory.file).bind(binding("a", "new", user: nil)) == .replaced)
        let tree = try JSONValue(parsing: directory.text)
        #expect(
            tree == [
                "version": 3, "note": ["z": 1, "a": [true]],
                "entries": [
                    ["extra": 1.5, "agentId": "a", "fabricApiKey": "new", "fabricEmail": "e@x"],
                    ["agentId": "b", "enabled": false, "fabricApiKey": "kb", "fabricEmail": "b@x", "more": nil],
                ],
            ])
        let order = ["version", "note", "entries"].compactMap { directory.text.range(of: "\"\($0)\"")?.lowerBound }
        #expect(order == order.sorted() && order.count == 3)
        let found = IdentityFile.read(directory.file)
        #expect(found.entries.count == 2 && found.entries[1].enabled == false)
    }

    @Test(arguments: ["{ not json", "[]", "7", "{\"entries\": [], \"entries\": []}"])
    func neverOverwritesWhatItCannotRead(_ text: String) throws {
        let directory = try Directory()
        try directory.write(text)
        #expect(throws: SettingsError.self) { try IdentityWriter(path: directory.file).bind(binding("a")) }
        #expect(directory.text == text)
    }

    @Test func throughALink() throws {
        let directory = try Directory()
        try directory.write("{}")
        let link = directory.path + "/link.json"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: directory.file)
        #expect(try IdentityWriter(path: link).bind(binding("a")) == .added)
        #expect(directory.text.contains("fak_1"))
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == directory.file)
    }

    @Test(arguments: IdentityWriter.Step.allCases)
    func failingAtAnyStepLeavesTheOldOrTheNewFile(_ step: IdentityWriter.Step) throws {
        let directory = try Directory()
        #expect(try IdentityWriter(path: directory.file).bind(binding("a")) == .added)
        let old = directory.text
        let failing = IdentityWriter(path: directory.file) { passed throws(SettingsError) in
            if passed == step { throw SettingsError(file: "", keyPath: "", problem: "died", remedy: "") }
        }
        #expect(throws: SettingsError.self) { try failing.bind(binding("b")) }
        if step == .renamed {
            #expect(IdentityFile.read(directory.file).entries.count == 2)
        } else {
            #expect(directory.text == old)
        }
        #expect(directory.names.count == 2, "nothing is left beside it")
        #expect(try IdentityWriter(path: directory.file).bind(binding("c")) == .added, "the lock is free")
    }

    @Test func manyWritersAtOnceLoseNothing() async throws {
        let directory = try Directory()
        let path = directory.file
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<6 {
                group.addTask {
                    for number in 0..<10 {
                        let binding = IdentityBinding(agentId: "\(worker)-\(number)", apiKey: Secret("k"))
                        // It gives up after ten seconds, which says nothing on a machine that stands still.
                        for _ in 0..<12 where (try? IdentityWriter(path: path).bind(binding)) != nil { break }
                    }
                }
            }
        }
        #expect(Set(IdentityFile.read(path).entries.map(\.agentId)).count == 60)
        #expect(directory.names.count == 2)
    }

    @Test func presenceOfTheSystem() throws {
        let directory = try Directory()
        try directory.write("x")
        let presence = SecretPresence.system
        #expect(presence.environment("PATH") && !presence.environment("SURELY_NOT_SET_X"))
        #expect(presence.file(directory.file) == .readable && presence.file(directory.file + "x") == .absent)
        #expect(presence.file(directory.path) == .unreadable("it is no regular file"))
        try directory.write("")
        #expect(presence.file(directory.file) == .unreadable("it is empty"))
    }
}
