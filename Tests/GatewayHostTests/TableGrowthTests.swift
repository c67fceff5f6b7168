import Foundation
import GatewayABI
import GatewayControl
import Testing

@testable import GatewayHost

/// A module and a host of different builds: the one of a later build is compiled with a header whose tables have one
/// function more.
@Suite struct TableGrowthTests {
    let scratch: Scratch
    init() throws { scratch = try Scratch() }

    /// The folder of a header that grew.
    static func grownHeader(in scratch: Scratch) throws -> String {
        let folder = scratch.path + "/grown"
        try Files.makeDirectory(folder)
        var text = try String(
            contentsOfFile: TestModule.package + "/Sources/GatewayABI/include/gateway_channel.h", encoding: .utf8)
        for (end, field) in [
            ("} gateway_host;", "void (*later)(void *context, int32_t number);"),
            ("} gateway_channel;", "int32_t (*later)(void *instance);"),
        ] {
            try #require(text.components(separatedBy: end).count == 2)
            text = text.replacingOccurrences(of: end, with: field + "\n" + end)
        }
        _ = try scratch.write(text, to: "grown/gateway_channel.h")
        return folder
    }

    /// Flags that come before the real header's folder.
    func grown() throws -> [String] { ["-DGROWN", "-I", try Self.grownHeader(in: scratch)] }

    func module(_ flags: [String]) throws -> String {
        let path = scratch.path + "/module-\(UUID().uuidString).so"
        try TestModule.build(before: flags, to: path)
        return path
    }

    func host(_ flags: [String], _ arguments: [String]) throws -> [String] {
        let program = scratch.path + "/host-\(UUID().uuidString)"
        try TestModule.buildHost(flags, to: program)
        return try TestModule.output(program, arguments)
    }

    @Test func anOldHostTakesANewModule() async throws {
        let path = try module(grown())
        #expect(try host([], [path]) == ["id test", "has 120 of 112", "command 1"])
        // This gateway is the old host.
        let loader = ModuleLoader(
            directory: try ModuleDirectory(path: scratch.path + "/modules"), logger: LogLines().logger())
        let module = try await loader.open(
            path, id: "test", generation: ModuleGeneration(1), events: SilentEvents())
        #expect(try await module.status()["version"]?.string == "1.0.0")
        await module.shutdown()
    }

    @Test func aNewHostTakesAnOldModule() throws {
        #expect(try host(grown(), [module([])]) == ["id test", "has 112 of 120", "later -1", "command 1"])
    }

    @Test func twoNewOnesUseWhatGrew() throws {
        #expect(
            try host(grown(), [module(grown())]) == ["called 7", "id test", "has 120 of 120", "later 42", "command 1"])
    }

    @Test func lessThanVersionOneBeganWithIsRefused() throws {
        let path = try module([])
        for shortened in [["8", "0"], ["0", "8"], ["1", "0"], ["0", "1"]] {
            #expect(try host([], [path] + shortened) == ["refused: "], "\(shortened)")
        }
        var table = gateway_channel()
        table.abi_version = UInt32(GATEWAY_ABI_VERSION)
        table.struct_size = UInt32(GATEWAY_CHANNEL_SIZE_1 - 1)
        let error = #expect(throws: ModuleError.self) { try ModuleTable(table, path: "m") }
        #expect(error?.kind == .version && error?.problem.contains("111 bytes") == true)
    }

    @Test func whatTheOtherSideDoesNotHaveIsAbsentAndNothingIsWrittenBeyond() {
        let from: [UInt8] = Array(1...10)
        var to = [UInt8](repeating: 0xa5, count: 16)
        gateway_copy_table(&to, 12, from, 10)
        #expect(to == Array(1...10) + [0, 0, 0xa5, 0xa5, 0xa5, 0xa5])
        to = [UInt8](repeating: 0xa5, count: 16)
        gateway_copy_table(&to, 4, from, 10)
        #expect(to == [1, 2, 3, 4] + [UInt8](repeating: 0xa5, count: 12))
        // A module that states less than it wrote does not have the rest.
        #expect(GATEWAY_HOST_SIZE_1 <= MemoryLayout<gateway_host>.size)
        #expect(GATEWAY_CHANNEL_SIZE_1 <= MemoryLayout<gateway_channel>.size)
    }
}
