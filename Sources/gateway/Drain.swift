import ArgumentParser
import GatewayHost

struct Drain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Hands all accounts over to the other gateways that share them, and waits; the gateway stays up.",
        discussion: """
            For deploys: drain, stop, start the new version. Exit codes: 0 nothing is left here, 1 something is (it is named, \
            and goes over when it can) or no other gateway is there, 3 no gateway runs here.
            """)
    @OptionGroup var config: ConfigurationOption
    @Option(help: "Seconds it may take.")
    var within: Double = 60
    @Flag(help: "Take accounts again.")
    var undo = false
    @Flag(help: "As JSON.")
    var json = false

    func run() throws {
        try CommandLineTool.finish { tool in
            undo ? tool.undrain(json: json) : tool.drain(within: within, json: json)
        }(config)
    }
}
