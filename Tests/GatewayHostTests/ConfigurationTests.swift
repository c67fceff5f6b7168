import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

@Suite struct ConfigurationTests {
    let scratch: Scratch
    init() throws { scratch = try Scratch() }

    func read(_ text: String) throws -> GatewayConfiguration {
        try GatewayConfiguration(file: try scratch.write(text, to: "gateway.json"))
    }

    func error(_ text: String) throws -> GatewayError {
        try #require(throws: GatewayError.self) { try read(text) }
    }

    @Test func theExampleOfTheDesignIsRead() throws {
        let configuration = try read(
            """
            {
              // a comment
              "stateDirectory": "./state",
              "plugins": { "fabric": { "manifest": "./plugin.json", "enabled": true } },
              "channels": { "fabric": { "enabled": true, "anything": [1, {"goes": null}],
                "accounts": { "echo": { "fabricApiKey": { "env": "ECHO_API_KEY" } } } } },
              "agents": { "echo": { "builtin": "echo" },
                "helper": { "command": ["/usr/local/bin/answer", "x"], "timeoutSeconds": 60 },
                "near": { "command": ["./answer"], "maximumOutputBytes": 10 }, "path": { "command": ["answer"] } },
              "bindings": [ { "agentId": "helper", "match": { "channel": "fabric", "accountId": "echo" } } ],
              "maximumCommands": 3
            }
            """)
        #expect(configuration.stateDirectory == scratch.path + "/state")
        #expect(configuration.plugins == [.init(id: "fabric", manifest: scratch.path + "/plugin.json", enabled: true)])
        #expect(configuration.channels["fabric"]?["anything"]?.array?.count == 2)
        #expect(configuration.agents["echo"] == .echo)
        guard case .command(let helper)? = configuration.agents["helper"] else { throw GatewayError("no command") }
        #expect(helper.command == ["/usr/local/bin/answer", "x"] && helper.timeout == .seconds(60))
        #expect(helper.hiddenVariables == ["ECHO_API_KEY"])
        guard case .command(let near)? = configuration.agents["near"] else { throw GatewayError("no command") }
        #expect(near.command == [scratch.path + "/answer"] && near.maximumOutput == 10)
        guard case .command(let path)? = configuration.agents["path"] else { throw GatewayError("no command") }
        #expect(path.command == ["answer"])
        #expect(configuration.bindings == [.init(agent: "helper", channel: "fabric", account: "echo")])
        #expect(configuration.maximumCommands == 3)
    }

    @Test func allFindingsComeAtOnceEachWithPlaceAndRemedy() throws {
        let error = try error(
            """
            {
              "stateDirectry": "./state",
              "plugins": { "fabric": { "manfest": "./plugin.json" } },
              "channels": { "fabrik": {} },
              "agents": { "echo": { "builtin": "ehco" }, "x": {}, "y": { "command": [] }, "z": { "command": "sh" } },
              "bindings": [ { "agentId": "ecko", "match": { "channel": "fabric", "accountId": "a" } },
                            { "agentId": "echo", "match": { "channel": "fabric", "accountId": "a" } },
                            { "agentId": "echo", "match": {} } ],
              "maximumCommands": 0
            }
            """)
        let text = error.description
        for wanted in [
            "stateDirectry: this key is not known. Did you mean \"stateDirectory\"?",
            "plugins.fabric.manfest: this key is not known. Did you mean \"manifest\"?",
            "plugins.fabric.manifest: it is missing",
            "channels.fabrik: no plugin serves this channel", "agents.echo.builtin", "Did you mean \"echo\"?",
            "agents.x: an agent has one of", "agents.y.command: the command is empty", "agents.z.command",
            "bindings[0].agentId: there is no agent “ecko”. Did you mean “echo”?",
            "bindings[1]: there is a binding for this",
            "bindings[2].match.channel: it is missing", "maximumCommands: 0 is out of range", "gateway.json:2",
        ] {
            #expect(text.contains(wanted), "\(wanted)\nnot in\n\(text)")
        }
    }

    @Test func agentsThatStay() throws {
        let file = try scratch.write(
            #"""
            { "stateDirectory": "./state",
              "agents": {
                "a": { "acp": { "command": ["bin/agent", "x"], "maximumSessions": 3, "permissions": "allow",
                                "startSeconds": 5, "directory": "work", "authMethod": "key" },
                       "timeoutSeconds": 60, "failureText": "sorry", "tools": "account" },
                "b": { "acp": { "command": ["agent"], "allow": ["read", "search"] } } } }
            """#, to: "gateway.json")
        let configuration = try GatewayConfiguration(file: file)
        guard case .acp(let a)? = configuration.agents["a"], case .acp(let b)? = configuration.agents["b"] else {
            throw GatewayError("they are no such agents")
        }
        #expect(a.command == [scratch.path + "/bin/agent", "x"] && a.directory == scratch.path + "/work")
        #expect(a.maximumSessions == 3 && a.permissions == .allow && a.start == .seconds(5) && a.authMethod == "key")
        #expect(a.timeout == .seconds(60) && a.failureText == "sorry" && a.tools == .account)
        #expect(b.command == ["agent"] && b.directory == scratch.path && b.permissions == .reject)
        #expect(b.allowedKinds == ["read", "search"] && b.maximumSessions == 16)
        let problems = configuration.commandProblems.map(\.place)
        #expect(problems == ["\(file): agents.a.acp.command", "\(file): agents.b.acp.command"])
        let text = try error(
            #"""
            { "agents": { "a": { "acp": {} }, "b": { "acp": { "command": [] } }, "c": { "acp": { "command": ["x"], "allow": ["all"] } },
                          "d": { "acp": { "command": ["x"], "permissons": "allow" }, "output": "json" },
                          "e": { "acp": { "command": ["x"] }, "builtin": "echo" } },
              "commands": [ { "name": "/x" }, { "description": "y" }, { "name": "stop", "description": "z" } ] }
            """#
        ).description
        for wanted in [
            "agents.a.acp.command: it is missing", "agents.b.acp.command: the command is empty",
            "agents.c.acp.allow[0]: this is no kind of doing", "Did you mean \"permissions\"?",
            "agents.d.output: “output” is of agents that are commands", "agents.e: an agent has one of",
            "commands[0].name", "commands[1].name: it is missing", "commands[2].name: there is a command of this name",
        ] {
            #expect(text.contains(wanted), "\(wanted)\nnot in\n\(text)")
        }
    }

    @Test func filesThatCannotBeRead() throws {
        #expect(try error("").place.contains("gateway.json"))
        #expect(try error("[]").problem.contains("an object is wanted"))
        #expect(
            try error(#"{"agents": {"a": {"builtin": "echo"}, "a": {"builtin": "echo"}}}"#).place.contains("agents.a"))
        let missing = #expect(throws: GatewayError.self) { try GatewayConfiguration(file: scratch.path + "/none.json") }
        #expect(missing?.place.contains("none.json") == true && missing?.remedy.isEmpty == false)
    }
}
