import ArgumentParser
import FabricSimulator
import Foundation

/// `./setup demo`: a guild, a gateway with the plugin, and an echo agent on loopback; every step is checked.
@main
struct FabricDemo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fabric-demo",
        abstract: "Shows an agent as a member of a guild: hearing, answering, exchanging files, surviving.")

    @Option(help: "Directory of the built products: gateway and libFabricModule.so.")
    var bin: String

    @Flag(help: "Keep the state directory and the gateway's log.")
    var keep = false

    func validate() throws {
        for product in ["gateway", "libFabricModule.so"] {
            guard FileManager.default.fileExists(atPath: "\(bin)/\(product)") else {
                throw ValidationError("there is no \(product) in \(bin); `./setup demo` builds what it needs")
            }
        }
    }

    func run() async throws {
        // The gateway reads it relative to its own files.
        let stage = try await Stage(bin: URL(fileURLWithPath: bin).path, keep: keep)
        do {
            try await play(on: stage)
            try await stage.close()
        } catch {
            await stage.fail(error)
            throw ExitCode(1)
        }
    }

    private func play(on stage: Stage) async throws {
        try await stage.step("the gateway starts, loads the plugin and connects the agent") {
            try await stage.startGateway()
            return "agent \"echo\" is in #general of guild sim-guild-1"
        }
        try await stage.step("a message comes in and is answered") {
            "\"\(try await stage.ask("hello").content)\""
        }
        try await stage.step("a file goes each way") {
            try await stage.exchangeFile()
        }
        try await stage.step("a tool makes a channel as the agent") {
            try await stage.useTool()
        }
        try await stage.step("the tokens expire and the guild drops the socket") {
            let before = try await stage.expireEverything()
            let answer = try await stage.ask("are you still there?")
            return "a new token, a new socket (\(before) connections so far): \"\(answer.content)\""
        }
        try await stage.step("the guild restarts; a message is posted while the agent is away") {
            let answer = try await stage.restartGuild(posting: "did you miss this?")
            return "caught up from history: \"\(answer.content)\""
        }
        try await stage.step("the module is reloaded while messages flow") {
            try await stage.reloadModule(while: 20)
        }
        try await stage.step("the gateway drains and stops") {
            try await stage.stopGateway()
            return "exit 0"
        }
        try await stage.step("every message was answered exactly once") {
            try await stage.checkAnswers()
        }
    }
}
