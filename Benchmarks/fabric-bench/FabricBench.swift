import ArgumentParser

/// Prints ratios against references taken in the same run, one JSON line each.
@main
struct FabricBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fabric-bench",
        abstract: "Measures the plugin against named references taken in the same run.",
        subcommands: [
            Inbound.self, Turn.self, Tokens.self, Idle.self, Attachments.self, Durable.self, Leases.self, Reloads.self,
            Start.self,
            All.self,
            ServeFeed.self,
            IdleBare.self,
            ServeStart.self, StartAccounts.self,
            IdleAgents.self, EchoBare.self, ServeFiles.self, TransferFile.self,
        ],
        defaultSubcommand: All.self)

    struct All: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Every benchmark, with its defaults.")
        func run() throws {
            try Inbound.parse([]).run()
            try Inbound.parse(["--wake"]).run()
            try Turn.parse([]).run()
            try Tokens.parse([]).run()
            try Idle.parse([]).run()
            try Attachments.parse([]).run()
            try Durable.parse([]).run()
            try Leases.parse([]).run()
            try Reloads.parse([]).run()
            try Start.parse([]).run()
        }
    }
}

/// One line of JSON.
func report(_ fields: [(String, String)]) {
    print("{" + fields.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}")
}

func text(_ value: String) -> String { "\"\(value)\"" }

func rounded(_ value: Double, _ digits: Int = 3) -> String {
    let scale = (0..<digits).reduce(1.0) { scale, _ in scale * 10 }
    return "\((value * scale).rounded() / scale)"
}
