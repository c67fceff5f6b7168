import ArgumentParser
import Foundation
import Settings

/// `fabric-setup`: setting up the Fabric channel of a gateway.
public struct SetupCommand: AsyncParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "fabric-setup",
        abstract: "Sets up the Fabric channel: who is bound, whether it works, and what to mend.",
        discussion: """
            A first account in two commands:
              fabric-setup bind --agent-id ID --center http://localhost:7001/api
              gateway run --config gateway.json
            """,
        subcommands: [InspectCommand.self, BindCommand.self, UnbindCommand.self, DoctorCommand.self])

    public init() {}

    /// Runs the command the process was called with, and ends the process.
    public static func runFromCommandLine() async {
        do {
            var command = try parseAsRoot()
            if var patient = command as? any AsyncParsableCommand {
                try await patient.run()
            } else {
                try command.run()
            }
        } catch {
            // 2, as for everything else that is wrong with what was asked, not the parser's 64.
            guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
            SetupWorld.system.complain(fullMessage(for: error))
            exit(withError: ExitCode(2))
        }
    }
}

struct ConfigOption: ParsableArguments {
    @Option(
        name: .customLong("config"),
        help: ArgumentHelp("The gateway's configuration file; ./gateway.json unless given.", valueName: "file"))
    var given: String?

    var config: String { given ?? "./gateway.json" }
}

struct ReloadOption: ParsableArguments {
    @Flag(inversion: .prefixedNo, help: "Tell a running gateway to take the change up.")
    var reload = true
}

struct InspectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Says what is configured, and why not.",
        discussion: """
            Ends with 0 when it could tell, with 1 when --probe found something that does not work, with 2 when the \
            configuration is wrong or there is none.
            """)

    @OptionGroup var file: ConfigOption
    @Flag(help: "Print one JSON object.") var json = false
    @Flag(
        help: """
            Log in with every account, list guilds and channels, and open a socket to each guild. Without it nothing \
            goes over the network.
            """)
    var probe = false

    func run() async throws {
        throw ExitCode(await Inspector(world: .system, file: file.config).run(json: json, probe: probe))
    }
}

struct BindCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bind", abstract: "Binds an agent to its API key.",
        discussion: """
            The key is read from FABRIC_API_KEY or from standard input, never from an argument, and is proved by a login \
            before anything is written. On a terminal everything that is not given is asked for; the key is not shown. \
            Without a configuration file a first one is written. A running gateway is told to take the account up. Ends with 0 when it is bound, 1 when Center refuses the key, 2 when the configuration or the command \
            is wrong, 3 when Center cannot be reached; nothing is written unless it ends with 0.
            """)

    @OptionGroup var file: ConfigOption
    @Option(help: ArgumentHelp("The agent's id. Asked for on a terminal.", valueName: "id")) var agentId: String?
    @Option(help: ArgumentHelp("Center's address, with /api, if the file does not have it yet.", valueName: "url"))
    var center: String?
    @Option(
        help: ArgumentHelp(
            "PEM file of the authorities to trust instead of the system's, if the file does not have it yet.",
            valueName: "file"))
    var ca: String?
    @Flag(help: "Add an agent that repeats what it hears, if none answers for the account yet.") var echo = false
    @Option(
        parsing: .remaining,
        help: ArgumentHelp(
            "Add an agent that is this program; all that follows are its arguments, so this is the last option.",
            valueName: "program"))
    var command: [String] = []
    @OptionGroup var reloading: ReloadOption

    func validate() throws {
        if echo, !command.isEmpty { throw ValidationError("--echo and --command exclude each other") }
        // Taken for the program's, another file would be written than the one that is meant.
        for (option, isGiven) in [("--config", file.given != nil), ("--agent-id", agentId != nil)] where !isGiven {
            guard command.contains(where: { $0 == option || $0.hasPrefix(option + "=") }) else { continue }
            throw ValidationError(
                "\(option) stands after --command, where everything is an argument of the program. Put it before "
                    + "--command; if the program is to have it, give bind one of its own too")
        }
    }

    func run() async throws {
        var agent: Binder.Agent? = echo ? .echo : nil
        if let program = command.first {
            // Relative to where the command is given, not to the file.
            let isPath = program.contains("/") && !program.hasPrefix("/")
            let path = isPath ? FileText.resolve(program, in: FileManager.default.currentDirectoryPath) : program
            agent = .command([path] + command.dropFirst())
        }
        throw ExitCode(
            await Binder(world: .system, file: file.config).bind(
                .init(agentId: agentId, center: center, authorities: ca, agent: agent, reloads: reloading.reload)))
    }
}

struct UnbindCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unbind", abstract: "Removes an agent's binding.",
        discussion: "Ends with 0 when it is removed, 1 when it was not bound, 2 when a file is wrong.")

    @OptionGroup var file: ConfigOption
    @Option(help: ArgumentHelp("The agent's id.", valueName: "id")) var agentId: String
    @OptionGroup var reloading: ReloadOption

    func run() throws {
        throw ExitCode(
            Binder(world: .system, file: file.config).unbind(agentId: agentId, reloads: reloading.reload))
    }
}

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Checks everything an operator could get wrong.",
        discussion: """
            Looks at the configuration, the accounts, who may read the secrets, the state directory and the gateway on \
            it, the plugin, the agents, the libraries, the clock, Center and the guilds. Ends with 0 when all is well, 1 \
            when there are warnings, 2 when there are errors.
            """)

    @OptionGroup var file: ConfigOption
    @Flag(help: "Print one JSON object.") var json = false
    @Flag(help: "Do not go over the network.") var offline = false

    func run() async throws {
        throw ExitCode(await Doctor(world: .system, file: file.config).run(json: json, offline: offline))
    }
}
