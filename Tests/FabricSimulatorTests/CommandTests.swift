import Foundation
import Testing

@testable import FabricSimulator

/// The built executable.
@Suite(.timeLimit(.minutes(5))) struct CommandTests {
    private var executable: URL {
        URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appendingPathComponent("fabric-sim")
    }

    @Test(arguments: [true, false])
    func printsOneLineAndEnds(byEndOfInput: Bool) async throws {
        let process = Process()
        process.executableURL = executable
        process.arguments =
            ["run", "--user", "echo", "--user", "ann", "--channel", "ops:dm:echo,ann", "--token-lifetime", "5"]
            + (byEndOfInput ? ["--until-eof"] : [])
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        let (ended, end) = AsyncStream.makeStream(of: Int32.self)
        process.terminationHandler = { end.yield($0.terminationStatus) }
        try process.run()
        let (lines, line) = AsyncStream.makeStream(of: [UInt8].self)
        Thread.detachNewThread {
            var all: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while !all.contains(UInt8(ascii: "\n")),
                case let count = read(output.fileHandleForReading.fileDescriptor, &buffer, buffer.count), count > 0
            {
                all += buffer[0..<count]
            }
            line.yield(all)
        }
        var text: [UInt8] = []
        for await found in lines {
            text = found
            break
        }
        let overview = try JSONDecoder().decode(Overview.self, from: Data(text))
        #expect(overview.users.map(\.name) == ["ann", "echo"])
        #expect(overview.channels.map(\.name) == ["ops"] && overview.channels[0].type == .dm)
        #expect(try await Exchange.run(Exchange(url: "\(overview.center)/auth/me")).status == 401)
        if byEndOfInput { try input.fileHandleForWriting.close() } else { kill(process.processIdentifier, SIGTERM) }
        var status: Int32 = -1
        for await found in ended {
            status = found
            break
        }
        #expect(status == 0)
    }
}
