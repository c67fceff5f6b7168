import Glibc

/// How the person who reads a hint would type the commands it names.
///
/// Wherever a text is written - in a module, in a running gateway, in a tool - it names a command between backquotes as
/// `gateway …` or `setup …`. Whoever shows it to a person spells it for that person: with the program that was
/// called, and the configuration it was called for.
package struct CommandNames: Sendable, Equatable {
    /// What stands for `setup`.
    package var setup: String
    /// What stands for `gateway`.
    package var gateway: String
    /// The configuration file as it was given; `nil` if it is the one that need not be named.
    package var configuration: String?

    package init(setup: String = "setup", gateway: String = "gateway", configuration: String? = nil) {
        self.setup = setup
        self.gateway = gateway
        self.configuration = configuration
    }

    /// The same names for a configuration file.
    package func with(configuration file: String) -> CommandNames {
        var names = self
        names.configuration = ["./gateway.json", "gateway.json"].contains(file) ? nil : file
        return names
    }

    /// The text with its commands as they are typed. Other words between backquotes stay as they are.
    package func spell(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "`")) else { return text }
        var pieces = text.split(separator: "`", omittingEmptySubsequences: false).map(String.init)[...]
        var spelled = pieces.popFirst() ?? ""
        while let quoted = pieces.popFirst() {
            // Without its end it is no quotation.
            guard let after = pieces.popFirst() else { return spelled + "`" + quoted }
            spelled += (typed(quoted) ?? "`" + quoted + "`") + after
        }
        return spelled
    }

    private func typed(_ command: String) -> String? {
        let words = command.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        guard words.count == 2, let program = ["setup": setup, "gateway": gateway][String(words[0])] else { return nil }
        var rest = String(words[1])
        if let configuration, !rest.contains("--config ") {
            let option = " --config \(ShellText.quote(configuration))"
            // What follows --command is the command's.
            if let last = rest.firstRange(of: " --command ") {
                rest.insert(contentsOf: option, at: last.lowerBound)
            } else {
                rest += option
            }
        }
        return "\(program) \(rest)"
    }
}

extension CommandNames {
    /// As this process was called: by a setup script, which says so, or by its own name.
    package static var ofThisProcess: CommandNames {
        func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
        return CommandNames(
            program: CommandLine.arguments.first ?? "", script: variable("SETUP_TYPED"),
            scriptHasGateway: variable("SETUP_HAS_GATEWAY") == "1", process: getpid()
        ) { access($0, X_OK) == 0 }
    }

    /// - Parameters:
    ///   - program: how this program was called.
    ///   - script: `<process> <script as typed>`, from a script that became this program. One from another process was
    ///     inherited, and says nothing.
    ///   - scriptHasGateway: whether the script knows the command `gateway`.
    ///   - isThere: whether there is a program of this path.
    init(
        program: String, script: String?, scriptHasGateway: Bool, process: pid_t, isThere: (String) -> Bool
    ) {
        self.init()
        let parts = script?.split(separator: " ", maxSplits: 1).map(String.init) ?? []
        if parts.count == 2, parts[0] == "\(process)" {
            setup = ShellText.quote(parts[1])
            gateway = scriptHasGateway ? "\(setup) gateway" : "gateway"
            return
        }
        let name = Files.name(of: program)
        let directory = program.contains("/") ? Files.parent(of: program) + "/" : ""
        func beside(_ names: [String]) -> String? {
            directory.isEmpty ? nil : names.map { directory + $0 }.first(where: isThere).map(ShellText.quote)
        }
        if name == "gateway" {
            gateway = ShellText.quote(program)
            setup = beside(["setup", "fabric-setup"]) ?? setup
        } else if !name.isEmpty {
            setup = ShellText.quote(program)
            gateway = beside(["gateway"]) ?? gateway
        }
    }
}
