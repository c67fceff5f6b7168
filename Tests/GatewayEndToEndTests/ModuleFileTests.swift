import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

extension GatewayEndToEnd {
    /// What happens to, and with, the module's file.
    @Suite struct ModuleFiles {
        @Test func overwrittenInPlaceNothingHappensUntilAModuleReload() async throws {
            try await Stage.play { stage in
                try stage.install(Products.module)
                let room = try await stage.echoRoom(module: stage.installed)
                let gateway = try await stage.startGateway()
                let sid = try await room.connected()
                try await room.ask("before")

                let fresh = stage.directory + "/fresh"
                try Products.build(version: "0.2.0", to: fresh)
                let facts = try FileManager.default.attributesOfItem(atPath: stage.installed)
                try overwrite(stage.installed, with: Data(contentsOf: URL(fileURLWithPath: fresh)))
                let same = try FileManager.default.attributesOfItem(atPath: stage.installed)
                #expect(facts[.systemFileNumber] as? Int == same[.systemFileNumber] as? Int, "in place means this file")

                try await room.ask("overwritten")
                _ = try await stage.reload()
                try await room.ask("settings reloaded")
                #expect(try await stage.plugin() == (Products.version, 1))
                #expect(try await room.connected() == sid)

                let reload = try await stage.command("reload", "--module")
                #expect(reload.code == 0 && reload.output.contains("0.2.0"), "\(reload)")
                #expect(try await stage.plugin() == ("0.2.0", 2))
                try await room.ask("module reloaded")
                #expect(try await stage.stop(gateway).code == 0)
                #expect(stage.leftovers() == [])
            }
        }

        /// Writes into the existing file, as `cp` does.
        private func overwrite(_ path: String, with data: Data) throws {
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            try file.truncate(atOffset: 0)
            try file.write(contentsOf: data)
            try file.close()
        }

        struct Bad: Sendable, CustomTestStringConvertible {
            var testDescription: String
            /// C source of the module, or nil where `bytes` makes it.
            var source: String?
            var bytes: (@Sendable (Data) -> Data)?
            /// What the caller must be told.
            var told: [String]
        }

        /// The least that opens; `configure` answers what CODE and ANSWER say.
        private static let small = """
            #include "gateway_channel.h"
            #include <string.h>
            #include <unistd.h>
            static gateway_host host;
            static gateway_bytes text(const char *s) { return (gateway_bytes){(const uint8_t *)s, strlen(s)}; }
            static void answer(void *i, uint64_t request, gateway_bytes b) {
                host.complete(host.context, request, CODE, text(ANSWER));
            }
            static void settle(void *i, gateway_bytes d, int32_t o) {}
            static void shutdown_(void *i) {}
            int32_t gateway_channel_open(const gateway_host *h, gateway_channel *out, char *e, size_t n) {
                HOOK
                host = *h;
                *out = (gateway_channel){VERSION, sizeof *out, &host, text(ID), text("9.9.9"), answer, answer, answer,
                                         answer, settle, answer, answer, shutdown_};
                return GATEWAY_OK;
            }
            """

        private static func small(
            id: String = "fabric", version: String = "GATEWAY_ABI_VERSION", hook: String = "",
            code: String = "GATEWAY_OK", answer: String = "{}"
        ) -> String {
            let quoted = answer.replacingOccurrences(of: "\"", with: "\\\"")
            return """
                #define ID "\(id)"
                #define VERSION \(version)
                #define CODE \(code)
                #define ANSWER "\(quoted)"
                #define HOOK \(hook)

                """ + small
        }

        static let bad = [
            Bad(
                testDescription: "missing symbol", source: "int something_else = 1;\n",
                told: ["does not export gateway_channel_open", "plugin.json"]),
            Bad(
                testDescription: "missing library symbol",
                source: "extern int nowhere(void);\nint gateway_channel_open(void) { return nowhere(); }\n",
                told: ["the loader refused it", "nowhere"]),
            Bad(
                testDescription: "other ABI version", source: small(version: "99"),
                told: ["ABI version 99", "this gateway 1"]),
            Bad(
                testDescription: "garbage",
                bytes: { _ in Data("not a library at all, but long enough to be taken for one at first.".utf8) },
                told: ["not a shared library"]),
            Bad(testDescription: "half written", bytes: { $0.prefix($0.count / 2) }, told: ["incomplete"]),
            Bad(testDescription: "empty", bytes: { _ in Data() }, told: ["not a shared library"]),
            Bad(
                testDescription: "refuses to open",
                source: small(hook: "strncpy(e, \"no licence\", n); return GATEWAY_INVALID;"),
                told: ["refused to open: no licence"]),
            Bad(
                testDescription: "another module", source: small(id: "other"),
                told: ["“other”", "“fabric”"]),
            Bad(
                testDescription: "refuses its configuration",
                source: small(
                    code: "GATEWAY_INVALID",
                    answer: #"{"error":"I do not like it","where":"channels.fabric.x","remedy":"write y"}"#),
                told: ["I do not like it", "channels.fabric.x", "write y"]),
            Bad(
                testDescription: "hangs in open", source: small(hook: "for (;;) pause();"),
                told: ["did not open within 5.0 seconds"]),
        ]

        @Test func whatDoesNotOpenIsNamedAndTheOldOneGoesOn() async throws {
            try await Stage.play { stage in
                try stage.install(Products.module)
                let room = try await stage.echoRoom(module: stage.installed)
                let gateway = try await stage.startGateway()
                let sid = try await room.connected()
                for bad in Self.bad {
                    try await install(bad, on: stage)
                    let reload = try await stage.command("reload", "--module")
                    #expect(reload.code == 1, "\(bad.testDescription): \(reload)")
                    for words in bad.told {
                        #expect(reload.errors.contains(words), "\(bad.testDescription): \(reload.errors)")
                    }
                    #expect(reload.errors.contains(stage.installed) || bad.testDescription.contains("configuration"))
                    try await room.ask(bad.testDescription)
                    #expect(try await room.connected() == sid, "\(bad.testDescription): the socket is the same")
                    #expect(try await stage.plugin().version == Products.version)
                    let copies = stage.leftovers().filter { $0.hasSuffix(".so") }
                    #expect(copies.count == 1, "\(bad.testDescription): the refused copy is removed")
                }
                try stage.install(Products.module)
                _ = try await stage.reload(module: true)
                try await room.ask("a good one again")
                // One module still hangs in its open; that holds up nobody.
                let stopped = try await stage.stop(gateway)
                #expect(stopped.code == 0 && stopped.took < Stopping.soon)
                #expect(stage.leftovers() == [])
            }
        }

        private func install(_ bad: Bad, on stage: Stage) async throws {
            let path = stage.directory + "/bad"
            if let source = bad.source {
                try stage.write(source, to: "bad.c")
                let cc = try stage.spawn(
                    "/usr/bin/cc",
                    [
                        "-shared", "-fPIC", "-w", "-I", Products.package + "/Sources/GatewayABI/include", "-o", path,
                        stage.directory + "/bad.c",
                    ])
                let code = try await cc.end()
                try #require(code == 0, "\(cc.errors.value)")
            } else if let bytes = bad.bytes {
                let good = try Data(contentsOf: URL(fileURLWithPath: Products.module))
                try bytes(good).write(to: URL(fileURLWithPath: path))
            }
            try stage.install(path)
        }

        @Test func aGatewayThatStartsWithABadModuleSaysSoAndEnds() async throws {
            try await Stage.play { stage in
                try stage.write("garbage", to: "libFabricModule.so")
                _ = try await stage.echoRoom(module: stage.installed)
                let gateway = try stage.spawn(Products.gateway, ["run", "--config", stage.configurationPath])
                #expect(try await gateway.end() == 1)
                #expect(gateway.errors.value.contains("not a shared library"))
                #expect(stage.leftovers() == [])
            }
        }

        /// Files belong to the instance that fetched them, but a turn, and an answer on its way, outlive that instance.
        @Test func filesOfTurnsAndAnswersOutliveAModuleReloadAndGoAfterwards() async throws {
            try await Stage.play { stage in
                let (echo, reader) = (try await Room("echo", on: stage), try await Room("reader", on: stage))
                try #require(mkfifo(stage.directory + "/gate", 0o600) == 0)
                let script = try stage.write(
                    """
                    #!/bin/sh
                    file=$(sed 's/.*"path":"\\([^"]*\\)".*/\\1/;s/\\\\//g')
                    read line < \(stage.directory)/gate
                    cat "$file"
                    """, to: "reader.sh", mode: 0o700)
                try stage.configure(
                    accounts: ["echo": echo.key, "reader": reader.key],
                    agents: ["echo": ["builtin": "echo"], "reader": ["command": [.string(script)]]])
                let gateway = try await stage.startGateway()
                try await echo.connected()
                try await reader.connected()
                let upload = "POST /api/files"
                await stage.sim.faults.add(
                    .init(server: Stage.guild, method: "POST", path: "/api/files", count: 1, drop: .never))
                let bytes = Array("what the file says".utf8)
                let file = await stage.sim.putFile(name: "note.txt", mediaType: "text/plain", bytes: bytes)
                try await reader.post("read", attachments: [file.attachment])
                try await echo.post("send it back", attachments: [file.attachment])
                _ = try await stage.sim.wait(for: "the upload", timeout: .seconds(60)) { sim in
                    sim.counters.requests.contains { $0.key.hasPrefix(upload) } ? true : nil
                }
                #expect(stage.leftovers().count { $0.hasPrefix("media/") } == 1)
                #expect(stage.unsent().count == 1)
                _ = try await stage.reload(module: true)
                let answer = try await echo.answer("echo: send it back")
                #expect(answer.attachments.count == 1)
                let gate = stage.directory + "/gate"
                try await blocking { try Data("go\n".utf8).write(to: URL(fileURLWithPath: gate)) }
                try await reader.answer("what the file says")
                _ = try await eventually("the files to be gone") {
                    stage.leftovers().contains { $0.hasPrefix("media/") } || !stage.unsent().isEmpty ? nil : true
                }
                #expect(try FileManager.default.contentsOfDirectory(atPath: stage.stateDirectory + "/media") == [])
                #expect(try await stage.stop(gateway).code == 0)
            }
        }

        @Test func exactlyOneSymbolIsExported() async throws {
            try await Stage.play { stage in
                let nm = try stage.spawn("/usr/bin/nm", ["-D", "--defined-only", Products.module])
                #expect(try await nm.end() == 0)
                let symbols = nm.output.value.split(separator: "\n").map {
                    $0.split(separator: " ").last.map(String.init)
                }
                #expect(symbols == ["gateway_channel_open"])
            }
        }
    }
}
