import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

/// What the command of a turn is given to use tools by.
@Suite(.enabled(if: !executable.isEmpty)) struct TurnToolTests {
    private func bench(_ script: String, _ more: [String: JSONValue] = [:], tools: Bool = true) async throws
        -> TestBench
    {
        let scratch = try Scratch()
        var options = Gateway.Options()
        options.executable = executable
        let file = try scratch.write(
            "#!/bin/sh\ncat > /dev/null\nG=\(executable)\nOUT=\(scratch.path)\n" + script, to: "agent.sh")
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: file)
        var agent = more
        agent["command"] = [.string(file)]
        let bench = try TestBench(
            accounts: ["a": "1", "b": "2"], agents: ["a": .object(agent)], settings: tools ? ["tools": true] : [:],
            options: options, scratch: scratch)
        try await bench.start()
        try await eventually("connected") { await bench.account("b")["connected"]?.bool == true }
        return bench
    }

    private func said(_ bench: TestBench) async throws -> [String] {
        try await eventually("the turn is over") { try await bench.journal().contains { $0.hasPrefix("settle d1") } }
        let sent = try await bench.journal().first { $0.hasPrefix("send a ") } ?? ""
        return sent.components(separatedBy: "[").dropFirst().joined(separator: "[").components(separatedBy: "|")
    }

    @Test func aTurnUsesItsToolsAndNothingElse() async throws {
        let bench = try await bench(
            """
            try() { "$G" tool "$@" >> "$OUT/out" 2>> "$OUT/err"; printf '%s|' $?; }
            printf '%s|' "$(stat -c %a "$GATEWAY_MCP_CONFIG")"
            try say --json '{"text":"x"}'
            try say --account b
            try history --json '{"channelId":"other"}'
            try history --json '{"channelId":"c"}'
            GATEWAY_CAPABILITY=guess try say
            cp "$GATEWAY_MCP_CONFIG" "$OUT/mcp.json"
            printf 'secret %s\\n' "$GATEWAY_CAPABILITY" >&2
            """)
        try await bench.deliver("d1")
        // The test module passes a text on only as far as it is plain.
        #expect(try await said(bench).prefix(6) == ["600", "0", "1", "1", "0", "1"])
        let errors = try String(contentsOfFile: bench.scratch.path + "/err", encoding: .utf8)
        #expect(
            errors.contains("acts as no other") && errors.contains("this turn may act in its own conversation only"))
        let out = try String(contentsOfFile: bench.scratch.path + "/out", encoding: .utf8)
        #expect(out.contains(#"\"delivery\":\"d1\""#) && out.contains(#"\"account\":\"a\""#))

        let written = try JSONValue(parsing: Files.read(bench.scratch.path + "/mcp.json"))
        let server = try #require(written["mcpServers"]?["test"])
        #expect(server["command"]?.string == executable && server["args"] == ["mcp"])
        let token = try #require(server["env"]?["GATEWAY_CAPABILITY"]?.string)
        // After the turn it is worth nothing, and no log has it.
        let after = await bench.gateway.answer(["command": "tool", "capability": .string(token), "tool": "say"])
        #expect(after["error"]?.string?.contains("the turn it was given to is over") == true)
        #expect(bench.gateway.capabilities.count == 0)
        try await eventually("its standard error is in the log") { bench.log.contains("secret …") }
        #expect(!bench.log.contains(String(token.prefix(16))))
        await bench.gateway.stop()
    }

    @Test func theServerOfATurnSpeaksForItsAccount() async throws {
        let bench = try await bench(
            """
            ask() { printf '{"jsonrpc":"2.0","id":%s,"method":"%s","params":%s}\\n' "$1" "$2" "$3"; }
            mkfifo "$OUT/in"
            : > "$OUT/out"
            "$G" mcp < "$OUT/in" > "$OUT/out" &
            exec 3> "$OUT/in"
            ask 1 initialize '{"protocolVersion":"2025-06-18"}' >&3
            ask 2 tools/call '{"name":"say","arguments":{"text":"x"}}' >&3
            ask 3 tools/call '{"name":"history","arguments":{"channelId":"other"}}' >&3
            while [ "$(wc -l < "$OUT/out")" -lt 3 ]; do sleep 0.05; done
            echo done
            """)
        try await bench.deliver("d1")
        #expect(try await said(bench).first?.hasPrefix("done") == true)
        let lines = try String(contentsOfFile: bench.scratch.path + "/out", encoding: .utf8).split(separator: "\n")
        let answers = try Dictionary(
            uniqueKeysWithValues: lines.map { line in
                let tree = try JSONValue(parsing: String(line))
                return (tree["id"]?.int ?? 0, tree["result"] ?? .null)
            })
        #expect(answers[1]?["serverInfo"]?["name"] == "gateway")
        #expect(answers[2]?["structuredContent"]?["asked"]?.string?.contains(#""delivery":"d1""#) == true)
        #expect(answers[3]?["isError"] == true)
        await bench.gateway.stop()
    }

    @Test func anAgentMayHaveNoneAndAModuleToo() async throws {
        for (settings, tools) in [(["tools": "none"], true), ([:], false)] as [([String: JSONValue], Bool)] {
            let bench = try await bench(
                #"printf '%s|%s|' "${GATEWAY_MCP_CONFIG:-none}" "${GATEWAY_CAPABILITY:-none}""#, settings, tools: tools)
            try await bench.deliver("d1")
            #expect(try await said(bench).prefix(2) == ["none", "none"])
            await bench.gateway.stop()
        }
    }
}
