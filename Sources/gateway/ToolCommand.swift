import ArgumentParser
import GatewayHost

struct Tool: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Calls a tool as an account, and prints its result as JSON; or lists the tools.",
        discussion: """
            In a turn's command the account is known, and the tools are those of the turn. Exit codes: 0 done, 1 it failed, \
            2 the tool or its arguments are wrong, 3 no gateway runs here, 130 interrupted.
            """)
    @OptionGroup var config: ConfigurationOption
    @Argument(help: "The tool, as --list names it.")
    var name: String?
    @Flag(help: "List the tools instead.")
    var list = false
    @Option(help: "The account that acts.")
    var account: String?
    @Option(help: "The plugin, where several have such an account.")
    var channel: String?
    @Flag(help: "List them as the module describes them, as JSON.")
    var listJson = false
    @Option(help: "The arguments, one JSON object.")
    var json = "{}"
    @Option(help: "Seconds it may take, at most 600.")
    var timeout: Double = 120

    func validate() throws {
        guard (name != nil) != (list || listJson) else { throw ValidationError("Give the name of a tool, or --list.") }
    }

    func run() throws {
        try CommandLineTool.finish { tool in
            guard let name else { return tool.tools(account: account, channel: channel, json: listJson) }
            return tool.callTool(
                name, account: account, channel: channel, arguments: json, seconds: timeout)
        }(config)
    }
}
