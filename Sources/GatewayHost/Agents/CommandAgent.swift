import GatewayControl
import Logging

/// Runs a command once per wake delivery: the delivery as JSON on standard input, the answer's text on standard
/// output. Nothing (or only white space) is no answer; an exit code other than 0 is a failed turn.
struct CommandAgent: Agent {
    private let name: String
    private let configuration: CommandSettings
    private let slots: CommandSlots
    private let logger: Logger

    init(name: String, configuration: CommandSettings, slots: CommandSlots, logger: Logger) {
        self.name = name
        self.configuration = configuration
        self.slots = slots
        self.logger = logger
    }

    func answer(_ turn: Turn) async throws(AgentFailure) -> AgentReply? {
        guard await slots.enter() else { throw AgentFailure("the gateway is stopping", cancelled: true) }
        let ended = await run(turn)
        slots.leave()
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
        case .cancelled: throw AgentFailure("the gateway is stopping", cancelled: true)
        case .notStarted(let failure):
            throw AgentFailure("\(failure); check agents.\(name).command")
        }
        let text = String(decoding: ended.output, as: UTF8.self)
        if !text.utf8.elementsEqual(ended.output) {
            logger.warning("the agent's answer was not valid UTF-8; the bad bytes were replaced", metadata: metadata)
        }
        let answer = text.trimmingEnd()
        return answer.isEmpty ? nil : AgentReply(text: answer)
    }

    /// Runs the process on a thread of its own; cancellation kills the group.
    private func run(_ turn: Turn) async -> CommandProcess.Ended {
        let result = Once<CommandProcess.Ended>()
        let process: CommandProcess
        do {
            process = try CommandProcess(
                command: configuration.command, input: turn.delivery, timeout: configuration.timeout,
                maximumOutput: configuration.maximumOutput, hiddenVariables: configuration.hiddenVariables)
            try DetachedThread.start("agent-\(name)") { result.decide(process.run()) }
        } catch {
            return CommandProcess.Ended(end: .notStarted(error))
        }
        return await withTaskCancellationHandler {
            await result.value()
        } onCancel: {
            process.cancel()
        }
    }
}
