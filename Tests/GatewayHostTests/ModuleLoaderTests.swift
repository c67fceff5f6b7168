import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

final class SilentEvents: ModuleEvents {
    func deliver(_ delivery: [UInt8], from module: ModuleGeneration) -> DeliveryAnswer { .adopted }
    func accountChanged(_ status: [UInt8], from module: ModuleGeneration) {}
    func log(level: Int32, record: [UInt8], from module: ModuleGeneration) {}
}

@Suite struct ModuleLoaderTests {
    let scratch: Scratch
    let loader: ModuleLoader
    /// For one that hangs; a good one might be too late for it.
    let impatient: ModuleLoader
    init() throws {
        scratch = try Scratch()
        let directory = try ModuleDirectory(path: scratch.path + "/modules")
        loader = ModuleLoader(directory: directory, openDeadline: .seconds(60), logger: LogLines().logger())
        impatient = ModuleLoader(
            directory: directory, openDeadline: .milliseconds(1500), logger: LogLines().logger())
    }

    func open(
        _ path: String, generation: UInt64 = 1, by other: ModuleLoader? = nil
    ) async throws(ModuleError) -> PluginModule {
        try await (other ?? loader).open(
            path, id: "test", generation: ModuleGeneration(generation), events: SilentEvents())
    }

    func failure(_ flags: [String], by other: ModuleLoader? = nil) async throws -> ModuleError {
        let path = scratch.path + "/bad.so"
        try TestModule.build(flags, to: path)
        return try await failure(at: path, by: other)
    }

    func failure(at path: String, by other: ModuleLoader? = nil) async throws -> ModuleError {
        do {
            let module = try await open(path, by: other)
            await module.shutdown()
        } catch {
            #expect(Files.names(in: scratch.path + "/modules").isEmpty, "a failed attempt leaves its copy behind")
            return error
        }
        throw GatewayError("it opened")
    }

    @Test func everyKindOfBadModuleIsAClearError() async throws {
        #expect(try await failure(["-DNO_SYMBOL"]).kind == .symbol)
        #expect(try await failure(["-DTEST_ABI=2"]).kind == .version)
        #expect(try await failure(["-DSMALL_TABLE"]).kind == .version)
        #expect(try await failure(["-DTEST_ID=\"other\""]).kind == .identity)
        let refused = try await failure(["-DREFUSE_OPEN"])
        #expect(refused.kind == .open && refused.problem.contains("not today"))
        let hung = try await failure(["-DHANG_IN_OPEN"], by: impatient)
        #expect(hung.kind == .open && hung.problem.contains("1.5 s"))
        #expect(try await failure(at: scratch.path + "/nothing.so").kind == .file)
        #expect(try await failure(at: try scratch.write("this is no library", to: "garbage.so")).kind == .file)
        #expect(try await failure(at: try scratch.write("", to: "empty.so")).kind == .file)
    }

    @Test func theSameCodeIsLoadedOnceAndGivesNewInstances() async throws {
        let path = scratch.path + "/module.so"
        try TestModule.build(to: path)
        let first = try await open(path, generation: 1)
        let second = try await open(path, generation: 2)
        #expect(first.copy == second.copy)
        #expect(Files.names(in: scratch.path + "/modules").count == 1)
        _ = try await first.configure(["settings": ["accounts": ["a": "1"]]])
        // What the first knows is its own.
        await first.shutdown()
        #expect(try await second.status()["accounts"]?.array == [])
        try TestModule.build(["-DTEST_VERSION=\"2.0.0\""], to: path)
        let third = try await open(path, generation: 3)
        #expect(third.version == "2.0.0" && third.copy != second.copy)
        await second.shutdown()
        await third.shutdown()
        #expect(Files.names(in: scratch.path + "/modules").isEmpty)
    }

    @Test func truncatedLibrariesAreRefusedBeforeTheLoaderMapsThem() async throws {
        let whole = scratch.path + "/whole.so"
        try TestModule.build(to: whole)
        let bytes = try Files.read(whole)
        for count in [64, 65, 500, bytes.count / 3, bytes.count / 2] {
            let cut = scratch.path + "/cut.so"
            try Data(bytes[..<count]).write(to: URL(fileURLWithPath: cut))
            let error = try await failure(at: cut)
            #expect(error.kind == .file, "\(count) bytes: \(error)")
        }
    }

    @Test func twoVersionsLiveSideBySideAndAnOverwrittenFileChangesNothing() async throws {
        let path = scratch.path + "/module.so"
        try TestModule.build(["-DTEST_VERSION=\"1.0.0\""], to: path)
        let first = try await open(path, generation: 1)
        #expect(first.version == "1.0.0")
        // In place, as a careless installation does: the same inode, other bytes.
        let other = scratch.path + "/other.so"
        try TestModule.build(["-DTEST_VERSION=\"2.0.0\"", "-O2"], to: other)
        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.truncate(atOffset: 0)
        try handle.write(contentsOf: Data(contentsOf: URL(fileURLWithPath: other)))
        try handle.close()
        #expect(try await first.status()["version"]?.string == "1.0.0")
        let second = try await open(path, generation: 2)
        #expect(second.version == "2.0.0")
        #expect(try await second.status()["version"]?.string == "2.0.0")
        #expect(try await first.status()["version"]?.string == "1.0.0")
        #expect(Files.names(in: scratch.path + "/modules").count == 2)
        #expect(await first.shutdown())
        #expect(await second.shutdown())
        #expect(Files.names(in: scratch.path + "/modules").isEmpty)
    }

    @Test func afterShutdownEverythingEndsWithShutDown() async throws {
        let path = scratch.path + "/module.so"
        try TestModule.build(to: path)
        let module = try await open(path)
        let open = Task { try await module.command("silence") }
        try await eventually("the request is under way") {
            _ = try await module.status()
            return true
        }
        #expect(await module.shutdown())
        #expect(await module.shutdown(), "idempotent")
        let result = await open.result
        #expect(throws: ModuleRefusal.self) { try result.get() }
        await #expect(throws: ModuleRefusal(.shutDown, "the module is shutting down")) { try await module.status() }
        #expect(!module.settle("d", .finished))
    }

    @Test func aRequestThatIsNeverAnsweredTimesOut() async throws {
        let path = scratch.path + "/module.so"
        try TestModule.build(to: path)
        var deadlines = PluginModule.Deadlines()
        deadlines.command = .milliseconds(20)
        let impatient = ModuleLoader(
            directory: try ModuleDirectory(path: scratch.path + "/modules"), deadlines: deadlines,
            logger: LogLines().logger())
        let module = try await impatient.open(path, id: "test", generation: ModuleGeneration(1), events: SilentEvents())
        let refusal = await #expect(throws: ModuleRefusal.self) { try await module.command("silence") }
        #expect(refusal?.kind == .timedOut)
        await module.shutdown()
    }

    @Test func manyConcurrentRequestsEachGetTheirOwnAnswer() async throws {
        let path = scratch.path + "/module.so"
        try TestModule.build(to: path)
        let module = try await open(path)
        await withTaskGroup(of: Bool.self) { group in
            for index in 0..<200 {
                group.addTask {
                    if index % 2 == 0 { return (try? await module.status())?["version"] != nil }
                    return (try? await module.command("nothing such")) == nil
                }
            }
            for await right in group { #expect(right) }
        }
        await module.shutdown()
    }

    @Test func aHostInPlainCNeedsNoSwift() async throws {
        try TestModule.build(["-DDELIVER_ON_START"], to: scratch.path + "/module.so")
        let section = try scratch.write(#"{"accounts":{"a":"1"}}"#, to: "section.json")
        let source = TestModule.package + "/Examples/CHost/host.c"
        let include = TestModule.package + "/Sources/GatewayABI/include"
        let program = scratch.path + "/host"
        try TestModule.run(
            "/usr/bin/cc", ["-Wall", "-Wextra", "-Werror", "-I", include, "-o", program, source, "-ldl", "-lpthread"])
        try TestModule.run(program, [scratch.path + "/module.so", section, scratch.path, "a", "1"])
    }

    @Test func copiesOfDeadProcessesAreSwept() throws {
        let directory = try ModuleDirectory(path: scratch.path + "/modules")
        _ = try scratch.write("x", to: "modules/test.999999999-17.abc.so")
        _ = try scratch.write("x", to: "modules/test.\(getpid())-1.abc.so")
        _ = try scratch.write("x", to: "modules/test.\(ModuleDirectory.owner).abc.so")
        _ = try scratch.write("x", to: "modules/unrelated.so")
        #expect(directory.sweep() == 2)
        #expect(Files.names(in: directory.path).count == 2)
    }

    @Test func manifestsAreReadAndRefusedClearly() throws {
        let good = try scratch.write(
            #"{"id":"test","name":"T","version":"1.2","kind":"channel","abiVersion":1,"module":"./m.so","setupEntry":"./s","channels":["test"],"configSchema":{}}"#,
            to: "plugin.json")
        let manifest = try PluginManifest(path: good)
        #expect(manifest.modulePath == scratch.path + "/m.so" && manifest.setupEntry == scratch.path + "/s")
        for bad in [
            "", "[]", "{}",
            #"{"id":"a/b","version":"1","kind":"channel","abiVersion":1,"module":"m","channels":["a"]}"#,
            #"{"id":"a","version":"1","kind":"tool","abiVersion":1,"module":"m","channels":["a"]}"#,
            #"{"id":"a","version":"1","kind":"channel","abiVersion":2,"module":"m","channels":["a"]}"#,
            #"{"id":"a","version":"1","kind":"channel","abiVersion":1,"channels":["a"]}"#,
            #"{"id":"a","version":"1","kind":"channel","abiVersion":1,"module":"m","channels":[]}"#,
        ] {
            let path = try scratch.write(bad, to: "bad.json")
            let error = #expect(throws: ModuleError.self) { try PluginManifest(path: path) }
            #expect(error?.place == path && error?.remedy.isEmpty == false)
        }
        #expect(throws: ModuleError.self) { try PluginManifest(path: scratch.path + "/none.json") }
    }
}
