import ArgumentParser
import GatewayHost

/// Exit codes: 0 well, 1 something is wrong, 2 the configuration or the command is, 3 no gateway runs here.
struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs the gateway until SIGTERM or gateway stop. SIGHUP reloads the settings.")
    @OptionGroup var config: ConfigurationOption
    @Option(help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel = "info"

    func run() async throws {
        let code = await CommandLineTool.run(configuration: config.file, logLevel: logLevel)
        if code != 0 { throw ExitCode(code) }
    }
}

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows plugins and accounts, problems first. Exit code: 0 all well, 1 problems, 3 no gateway runs.")
    @OptionGroup var config: ConfigurationOption
    @Flag(help: "The whole status as JSON.")
    var json = false
    @Option(help: "Only this account.")
    var account: String?
    @Flag(help: "With the last turns: when, how long, what became of them and why.")
    var recent = false

    func run() throws {
        try CommandLineTool.finish { $0.status(json: json, account: account, recent: recent) }(config)
    }
}

struct Reload: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Reads the configuration again and says what changed; accounts that did not change are not touched.")
    @OptionGroup var config: ConfigurationOption
    @Flag(help: "Load the modules' code anew instead, under the settings in effect.")
    var module = false
    @Flag(help: "What was done as JSON.")
    var json = false

    func run() throws { try CommandLineTool.finish { $0.reload(module: module, json: json) }(config) }
}

struct Send: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Sends a message as an account.")
    @OptionGroup var config: ConfigurationOption
    @Option(help: "The account that speaks.")
    var account: String
    @Option(
        help: """
            The conversation: fabric:<guild>/<channel>, fabric:<channel> or '#name'; a guild may be given by its name too. \
            gateway channels lists them.
            """)
    var to: String
    @Option(help: "The text.")
    var text = ""
    @Option(help: "A file to send along; may be given several times.")
    var media: [String] = []
    @Option(help: "The id of the message this answers.")
    var replyTo: String?

    func run() throws {
        try CommandLineTool.finish { $0.send(account: account, to: to, text: text, media: media, replyTo: replyTo) }(
            config)
    }
}

struct Channels: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the channels an account is in, with what gateway send --to takes.")
    @OptionGroup var config: ConfigurationOption
    @Option(help: "The account.")
    var account: String
    @Flag(help: "As JSON.")
    var json = false

    func run() throws { try CommandLineTool.finish { $0.channels(account: account, json: json) }(config) }
}

struct Stop: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Drains and stops the gateway, and waits until it is gone.")
    @OptionGroup var config: ConfigurationOption

    func run() throws { try CommandLineTool.finish { $0.stop() }(config) }
}

struct Unblock: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tries an account again that is blocked, was refused, or was given up.")
    @OptionGroup var config: ConfigurationOption
    @Option(help: "The account.")
    var account: String?
    @Flag(help: "All of them.")
    var all = false

    func validate() throws {
        guard (account != nil) != all else { throw ValidationError("Give --account ID, or --all.") }
    }

    func run() throws {
        try CommandLineTool.finish { tool in
            if let account { tool.unblock(account: account) } else { tool.unblockAll() }
        }(config)
    }
}

struct DeadLetters: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deadletters", abstract: "Messages that could never be sent, or that no turn survived.",
        subcommands: [List.self, Resubmit.self, Drop.self], defaultSubcommand: List.self)

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists them.")
        @OptionGroup var config: ConfigurationOption
        @Option(help: "Only those of this account.")
        var account: String?
        @Flag(help: "As JSON.")
        var json = false

        func run() throws { try CommandLineTool.finish { $0.deadLetters(account: account, json: json) }(config) }
    }

    struct Resubmit: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Sends one again.")
        @OptionGroup var config: ConfigurationOption
        @Argument(help: "Its id, as listed.") var id: String

        func run() throws { try CommandLineTool.finish { $0.resubmitDeadLetter(id) }(config) }
    }

    struct Drop: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Forgets one, or all.")
        @OptionGroup var config: ConfigurationOption
        @Argument(help: "Its id, as listed.") var id: String?
        @Flag(help: "All of them.")
        var all = false
        @Option(help: "With --all: only those of this account.")
        var account: String?

        func validate() throws {
            guard (id != nil) != all else { throw ValidationError("Give an id, or --all.") }
            guard account == nil || all else { throw ValidationError("--account goes with --all.") }
        }

        func run() throws { try CommandLineTool.finish { $0.dropDeadLetters(id, account: account) }(config) }
    }
}

extension CommandLineTool {
    /// Runs one command and ends with its exit code.
    static func finish(_ body: @escaping (CommandLineTool) -> Int32) -> (ConfigurationOption) throws -> Void {
        { config in
            let code = body(CommandLineTool(configuration: config.file))
            if code != 0 { throw ExitCode(code) }
        }
    }
}
