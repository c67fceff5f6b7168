import GatewayControl
import Glibc
import Locking
import Logging
import Threads
import Timing

/// Runs a command once per wake delivery: the delivery as JSON on standard input, the answer on standard output. Nothing
/// (or only white space) is no answer; an exit code other than 0 is a failed turn.
struct CommandAgent: Agent {
    /// Where the command finds the directory of its turn.
    static let directoryVariable = "GATEWAY_TURN_DIRECTORY"
    /// Where it finds the configuration of an MCP client.
    static let toolsVariable = "GATEWAY_MCP_CONFIG"

    private let name: String
    private let configuration: CommandSettings
    private let slots: CommandSlots
    private let directories: TurnDirectories
    private let tools: TurnTools
    private let reserve: DescriptorReserve
    private let logger: Logger

    init(
        name: String, configuration: CommandSettings, slots: CommandSlots, directories: TurnDirectories,
        tools: TurnTools, reserve: DescriptorReserve, logger: Logger
    ) {
        self.name = name
        self.configuration = configuration
        self.slots = slots
        self.directories = directories
        self.tools = tools
        self.reserve = reserve
        self.logger = logger
    }

    var failureText: String? { configuration.failureText }

    func isBusy(for account: String) -> Bool { slots.waitingSince(account) != nil }

    func answer(_ turn: Turn) async throws(AgentFailure) -> AgentReply? {
        guard await slots.enter(turn.head.account) else { throw Self.stopping }
        defer { slots.leave(turn.head.account) }
        let (ended, directory) = try await patiently(turn)
        let program = configuration.command.first ?? ""
        let metadata: Logger.Metadata = ["agent": "\(name)", "delivery": "\(turn.head.id)"]
        if !ended.errors.isEmpty {
            logger.info("the agent's command wrote to standard error: \(ended.errors)", metadata: metadata)
        }
        switch ended.end {
        case .exited(0): break
        case .exited(let code): throw AgentFailure("\(program) ended with exit code \(code)")
        case .signalled(let signal): throw AgentFailure("\(program) was ended by signal \(signal)")
        case .timedOut:
            throw AgentFailure(
                "\(program) took longer than \(configuration.timeout.brief) and was killed; see agents.\(name).timeoutSeconds"
            )
        case .flooded:
            throw AgentFailure(
                "\(program) wrote more than \(configuration.maximumOutput) bytes and was killed; see agents.\(name).maximumOutputBytes"
            )
        case .cancelled: throw Self.stopping
        case .notStarted(let failure):
            throw AgentFailure("\(failure); check agents.\(name).command")
        }
        var reply: AgentReply?
        switch configuration.output {
        case .text:
            let (text, isUTF8) = CommandAnswer.text(ended.output)
            if !isUTF8 {
                logger.warning(
                    "the agent's answer was not valid UTF-8; the bad bytes were replaced", metadata: metadata)
            }
            reply = text
        case .json: reply = try CommandAnswer.object(ended.output, directory: directory.path)
        }
        reply?.directory = directory
        return reply
    }

    private static let stopping = AgentFailure("the gateway is stopping", cancelled: true)

    /// Runs the command; where the machine has no room for it at the moment, the turn waits and is not lost.
    private func patiently(
        _ turn: Turn
    ) async throws(AgentFailure) -> (ended: CommandProcess.Ended, directory: TurnDirectory) {
        let backoff = Backoff(.milliseconds(250), upTo: .seconds(5))
        var attempts = 0
        while true {
            let failure: POSIXFailure
            do throws(POSIXFailure) {
                let directory = try directories.make()
                let ended = await run(turn, in: directory)
                guard case .notStarted(let reason) = ended.end else {
                    if attempts > 0 { logger.notice("turns go on", metadata: ["agent": "\(name)"]) }
                    return (ended, directory)
                }
                guard reason.isScarcity else { return (ended, directory) }
                failure = reason
            } catch {
                guard error.isScarcity else {
                    throw AgentFailure("\(error); check the state directory and its permissions")
                }
                failure = error
            }
            if attempts == 0 {
                logger.error(
                    "a turn waits for resources: \(failure)",
                    metadata: [
                        "agent": "\(name)", "account": "\(turn.head.account)",
                        "remedy": "raise the limit (ulimit -n, ulimit -u, LimitNOFILE), or lower maximumCommands",
                    ])
            }
            do {
                try await Task.sleep(for: backoff.delay(step: attempts))
            } catch {
                throw Self.stopping
            }
            attempts += 1
        }
    }

    /// Runs the process on a thread of its own; cancellation kills the group.
    private func run(_ turn: Turn, in directory: TurnDirectory) async -> CommandProcess.Ended {
        let result = Once<CommandProcess.Ended>()
        let process: CommandProcess
        var variables = [Self.directoryVariable: directory.path]
        var token: String?
        // Good while the command runs, and not a moment longer.
        defer { if let token { tools.capabilities.remove(token) } }
        do {
            if turn.hasTools, configuration.tools != .none {
                let made = tools.make(for: turn.head, reach: configuration.tools, files: directory.path)
                token = made
                tools.capabilities.begin(made, delivery: turn.head.id)
                variables.merge(tools.variables(made)) { $1 }
                let file = directory.path + "/mcp.json"
                try Files.writePrivate(tools.configuration(made, name: turn.head.channel).serialized, to: file)
                variables[Self.toolsVariable] = file
            }
            process = try CommandProcess(
                command: configuration.command, input: turn.delivery, timeout: configuration.timeout,
                maximumOutput: configuration.maximumOutput,
                hiddenVariables: configuration.hiddenVariables.union(TurnTools.variables), variables: variables,
                reserve: reserve)
            try NamedThread.start("agent-\(name)") { result.decide(process.run()) }
        } catch {
            return CommandProcess.Ended(end: .notStarted(error))
        }
        var ended = await withTaskCancellationHandler {
            await result.value()
        } onCancel: {
            process.cancel()
        }
        // What it said goes to the log; whoever prints all variables is not to spread this one.
        if let token { ended.errors = ended.errors.replacing(token, with: "…") }
        return ended
    }
}

extension POSIXFailure {
    /// The machine has no room at the moment; later it may.
    var isScarcity: Bool { [EMFILE, ENFILE, EAGAIN, ENOMEM, ENOBUFS, ENOSPC, EDQUOT].contains(code) }
}
