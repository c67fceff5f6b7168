import ArgumentParser
import Dispatch
import FabricSimulator
import Foundation
import Threads

@main
struct FabricSim: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fabric-sim",
        abstract: "A Fabric deployment on loopback: Center, guild nodes, and a control port to drive it.",
        discussion: """
            `run` prints one JSON line (bases, users with their API keys, channels)
            and serves until SIGTERM. The control port takes JSON over HTTP; with
            C=http://127.0.0.1:PORT/_sim, for example:

              curl -s $C                          everything there is
              curl -s $C/users -d '{"name":"ann"}'
              curl -s $C/channels -d '{"name":"ops","members":["ann","echo"]}'
              curl -s $C/post -d '{"user":"ann","channel":"ops","content":"hi"}'
              curl -s "$C/wait?channel=ops&author=echo&timeout=5"
              curl -s "$C/wait-sockets?user=echo&channel=ops"
              curl -s $C/messages?channel=ops
              curl -s $C/files -d '{"name":"big.bin","size":1000000000}'
              curl -s $C/faults -d '{"deaf":["sim-guild-1"],"repeats":2}'
              curl -s $C/faults/route -d '{"path":"/api/channels","status":503}'
              curl -s -X DELETE $C/faults         no faults any more
              curl -s $C/switches -d '{"tokenLifetime":2}'
              curl -s $C/expire -d '{}'           all guild tokens expire now
              curl -s $C/restart -d '{"server":"sim-guild-1","downFor":1.5}'
              curl -s $C/sockets                  also: counters, requests, files

            Users and channels go by id or by name. All routes are in the doc
            comment of ControlRoutes; the properties of faults and switches in
            Faults, RouteFault and Switches (sources of FabricSimulator).
            """,
        subcommands: [Run.self],
        defaultSubcommand: Run.self)
}

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Start, print one JSON line, serve until SIGTERM or SIGINT.")

    @Option(help: "Port of the Center; 0 chooses a free one.")
    var portCenter = 0

    @Option(help: "Port of the first guild, the others follow; 0 chooses free ones.")
    var portGuild = 0

    @Option(help: "Port of the control routes; 0 chooses a free one.")
    var portControl = 0

    @Option(help: "Seconds a guild token lives.")
    var tokenLifetime = 900.0

    @Option(help: "Node id of a guild; repeat for more.")
    var guild: [String] = ["sim-guild-1"]

    @Option(help: "Name of a user to create; repeat for more.")
    var user: [String] = []

    @Option(help: "A channel of the first guild to create, as name:type:member,member; repeat for more.")
    var channel: [String] = []

    @Option(help: "The guilds' commands-sync key, which is the system key too.")
    var systemKey = "sim-system-key"

    @Flag(help: "Also end when standard input ends, so that nothing is left behind when the parent dies.")
    var untilEof = false

    func validate() throws {
        if !(tokenLifetime > 0) { throw ValidationError("--token-lifetime must be greater than 0 (seconds)") }
        if guild.isEmpty { throw ValidationError("--guild: at least one is needed") }
        for text in channel { _ = try ChannelOption(text) }
    }

    func run() async throws {
        // A parent's blocked signals are inherited (those started from Swift concurrency's threads block everything).
        var ours = sigset_t()
        sigemptyset(&ours)
        sigaddset(&ours, SIGTERM)
        sigaddset(&ours, SIGINT)
        // Before anything starts, so that a signal in between is not lost.
        let signals = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            return DispatchSource.makeSignalSource(signal: number, queue: .global())
        }
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        for source in signals {
            source.setEventHandler { end.yield() }
            source.resume()
        }
        pthread_sigmask(SIG_UNBLOCK, &ours, nil)
        let simulator = try await FabricSimulator.start(
            .init(
                guilds: guild, tokenLifetime: .seconds(tokenLifetime), centerPort: portCenter, guildPort: portGuild,
                controlPort: portControl, systemKey: systemKey))
        do {
            for name in user { try await simulator.createUser(name: name) }
            for text in channel {
                let option = try ChannelOption(text)
                var members: [String] = []
                for member in option.members { members.append(try await simulator.user(member)) }
                try await simulator.createChannel(name: option.name, type: option.type, members: members)
            }
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            var line = try encoder.encode(await simulator.overview)
            line.append(UInt8(ascii: "\n"))
            try FileHandle.standardOutput.write(contentsOf: line)
        } catch {
            await simulator.stop()
            throw error
        }
        if untilEof { Self.watchStandardInput { end.yield() } }
        for await _ in ends { break }
        for source in signals { source.cancel() }
        await simulator.stop()
    }

    /// A thread of its own: a blocking read must not take one of Swift concurrency's.
    private static func watchStandardInput(_ ended: @escaping @Sendable () -> Void) {
        _ = try? NamedThread.detached("standard-input") {
            var bytes = [UInt8](repeating: 0, count: 4096)
            while read(STDIN_FILENO, &bytes, bytes.count) > 0 {}
            ended()
        }
    }
}

/// `name:type:member,member`
struct ChannelOption {
    let name: String
    let type: ChannelType
    let members: [String]

    init(_ text: String) throws {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let types = ChannelType.allCases.map(\.rawValue).joined(separator: ", ")
        guard parts.count == 3, !parts[0].isEmpty, let type = ChannelType(rawValue: parts[1]) else {
            throw ValidationError("--channel \(text): want name:type:member,member with a type of \(types)")
        }
        name = parts[0]
        self.type = type
        members = parts[2].split(separator: ",").map(String.init)
    }
}
