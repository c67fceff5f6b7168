import FabricSimulator
import Foundation
import JSONBytes
import Testing

/// Hints that can be copied, agents that fail, and what every command does before it does anything else.
@Suite(.timeLimit(.minutes(5))) struct HintTests {
    /// The commands in hints are the ones that were called, for the configuration they were called for.
    @Test func hintsNameTheCommandThatWasTyped() async throws {
        try await withSimulator { sim in
            let agent = try await sim.createUser(name: "echo")
            let desk = try Desk()
            let run = "\(products)/gateway run --config \(desk.file)"
            let bind = try await desk.run(
                "fabric-setup", ["bind", "--agent-id", "echo", "--center", sim.centerBase], input: agent.apiKey)
            #expect(bind.code == 0 && bind.output.contains("Start one with: \(run)\n"), "\(bind.all)")
            let doctor = try await desk.run("fabric-setup", ["doctor", "--offline"])
            #expect(doctor.output.contains("made at the first run\n           \(run)\n"), "\(doctor.all)")
            let status = try await desk.run("gateway", ["status"])
            #expect(status.code == 3 && status.errors.contains("Start one with \(run)."), "\(status.all)")
            // The script that stands in for it says how it was called; a path with blanks is quoted.
            let script = try await RunningCommand(
                "/bin/sh",
                [
                    "-c",
                    #"export SETUP_TYPED="$$ ./my setup" SETUP_HAS_GATEWAY=1; exec "$0" doctor --offline --config "$1""#,
                    "\(products)/fabric-setup", desk.file,
                ]
            ).ended()
            #expect(script.output.contains("'./my setup' gateway run --config \(desk.file)\n"), "\(script.all)")
            let unbind = try await desk.run("fabric-setup", ["unbind", "--agent-id", "echo"])
            #expect(unbind.code == 0, "\(unbind.all)")
            let inspect = try await desk.run("fabric-setup", ["inspect"])
            #expect(inspect.output.contains("\(products)/fabric-setup bind --agent-id ID --config"), "\(inspect.all)")
        }
    }

    /// An agent whose command fails: the doctor names it while the gateway runs.
    @Test func theDoctorNamesAFailingAgent() async throws {
        try await withSimulator { sim in
            let agent = try await sim.createUser(name: "echo")
            let human = try await sim.createUser(name: "human")
            let room = try await sim.createChannel(name: "general", members: [agent.id, human.id])
            let desk = try Desk()
            try desk.configure(
                "{\"centerApiBase\":\"\(sim.centerBase)\",\"accounts\":{\"echo\":{\"fabricApiKey\":\"\(agent.apiKey)\"}}}",
                agents: #"{"echo":{"command":["/bin/sh","-c","exit 3"]}}"#)
            _ = try await desk.withGateway { _ in
                try await sim.waitForSockets(user: agent.id, joined: room.id, timeout: .seconds(60))
                for text in ["one", "two"] { try await sim.post(as: human.id, in: room.id, content: text) }
                try await desk.status("two failures") { $0["turns"]?["failuresInRow"]?.int == 2 }
                let doctor = try await desk.run("fabric-setup", ["doctor"])
                #expect(doctor.code == 1, "\(doctor.all)")
                #expect(doctor.output.contains("account echo, agent echo: the agent echo fails: "), "\(doctor.all)")
                #expect(doctor.output.contains("(2 turns in a row, the last at "), "\(doctor.all)")
                let recent = "\(products)/gateway status --account echo --recent --config \(desk.file)"
                #expect(doctor.output.contains("\(recent) lists its turns"), "\(doctor.all)")
                #expect(doctor.output.contains("descriptors are in use: there is room for about"), "\(doctor.all)")
                #expect(doctor.output.contains("channel.db: whole, version "), "\(doctor.all)")
                // Each build that is loaded leaves the one before mapped.
                let module = FileManager.default.contents(atPath: "\(products)/libFabricModule.so") ?? Data()
                try (module + Data("another build".utf8)).write(to: URL(fileURLWithPath: desk.path + "/other.so"))
                try desk.write(
                    #"{"id":"fabric","version":"2","kind":"channel","abiVersion":1,"module":"./other.so","channels":["fabric"]}"#,
                    to: "plugin.json")
                let reload = try await desk.run("gateway", ["reload", "--module"])
                #expect(reload.code == 0, "\(reload.all)")
                let after = try await desk.run("fabric-setup", ["doctor", "--offline"])
                #expect(after.output.contains("1 replaced module build is still mapped: "), "\(after.all)")
            }
        }
    }

    /// Whatever is asked of a configuration that is not there, or in words nobody knows, ends with 2.
    @Test func whatIsWrongWithTheQuestionIsTwo() async throws {
        let desk = try Desk()
        for command in [
            ["status"], ["reload"], ["stop"], ["run"], ["deadletters", "list"], ["channels", "--account", "a"],
        ] {
            let missing = try await desk.run("gateway", command)
            #expect(missing.code == 2 && missing.all.contains(desk.file), "\(command): \(missing.code) \(missing.all)")
        }
        for command in [["inspect"], ["doctor"], ["unbind", "--agent-id", "a"]] {
            let missing = try await desk.run("fabric-setup", command)
            #expect(missing.code == 2 && missing.all.contains(desk.file), "\(command): \(missing.code) \(missing.all)")
        }
        try desk.configure("{}")
        for command in [
            ["status", "--bogus"], ["bogus"], ["deadletters", "drop"], ["unblock"], ["run", "--log-level", "loud"],
        ] {
            let wrong = try await desk.run("gateway", command)
            #expect(wrong.code == 2 && !wrong.errors.isEmpty, "\(command): \(wrong.code) \(wrong.all)")
        }
    }

    /// What an editor writes into a configuration for itself is no mistake.
    @Test func aSchemaMayBeNamed() async throws {
        let desk = try Desk()
        try desk.write(
            #"{"$schema":"./schema.json","plugins":{"fabric":{"manifest":"./plugin.json"}},"channels":{"fabric":{}}}"#,
            to: "gateway.json")
        #expect(try await desk.run("fabric-setup", ["inspect"]).code == 0)
        let doctor = try await desk.run("fabric-setup", ["doctor", "--offline", "--json"])
        #expect(doctor.json["worst"] == "warning", "\(doctor.all)")
        let gateway = try await desk.withGateway { _ in
            let reload = try await desk.run("gateway", ["reload"])
            #expect(reload.code == 0, "\(reload.all)")
        }
        #expect(gateway.code == 0)
    }

    /// A person who asks what a command does, or which version this is, does not wait for a build.
    @Test func helpNeverBuilds() async throws {
        let desk = try Desk()
        try desk.write("#!/bin/sh\ntouch '\(desk.path)/built'\nexit 1\n", to: "swift")
        chmod(desk.path + "/swift", 0o755)
        for words in [
            ["--help"], ["--version"], ["help"], ["demo", "--help"], ["gateway", "--help"],
            ["gateway", "send", "--help"],
            ["bind", "--help"], ["help", "install"], ["doctor", "--version"], ["sim", "--help"],
        ] {
            let asked = try await RunningCommand(
                "\(package)/setup", words, environment: ["PATH": "\(desk.path):/usr/bin:/bin"], directory: desk.path
            ).ended()
            #expect(asked.code == 0 && !asked.all.isEmpty, "\(words): \(asked.all)")
        }
        #expect(!FileManager.default.fileExists(atPath: desk.path + "/built"))
    }
}
