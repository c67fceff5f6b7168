import ArgumentParser
import FabricVersion
import GatewayHost

struct MCP: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mcp",
        abstract: "Serves the tools of an account by the Model Context Protocol on standard input and output.",
        discussion: "The gateway may be stopped, started and reloaded meanwhile; calls made while it is away fail.")
    @OptionGroup var config: ConfigurationOption
    @Option(help: "The account that acts. In a turn's command it is known.")
    var account: String?
    @Option(help: "The plugin, where several have such an account.")
    var channel: String?
    @Option(help: "Seconds a call may take, at most 600.")
    var timeout: Double = 120

    func run() async throws {
        let code = await CommandLineTool(configuration: config.file).mcp(
            account: account, channel: channel, version: String(cString: fabric_plugin_version()), seconds: timeout)
        if code != 0 { throw ExitCode(code) }
    }
}
