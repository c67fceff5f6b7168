import Glibc
import Testing

@testable import GatewayControl
@testable import GatewayHost

/// Hints name the command as it was typed.
@Suite struct CommandNamesTests {
    private func names(_ program: String, script: String? = nil, hasGateway: Bool = false, there: [String] = [])
        -> CommandNames
    {
        CommandNames(program: program, script: script, scriptHasGateway: hasGateway, process: 77) { there.contains($0) }
    }

    @Test func whatWasCalledIsWhatIsNamed() {
        let source = names("/s/.build/debug/fabric-setup", script: "77 ./setup", hasGateway: true)
        #expect(source == CommandNames(setup: "./setup", gateway: "./setup gateway"))
        let folder = names("/srv/my plugin/fabric-setup", script: "77 /srv/my plugin/setup")
        #expect(folder == CommandNames(setup: "'/srv/my plugin/setup'", gateway: "gateway"))
        // An agent's command inherits the variable from the gateway that was started by the script.
        let inherited = names("/s/bin/gateway", script: "76 ./setup", hasGateway: true, there: ["/s/bin/fabric-setup"])
        #expect(inherited == CommandNames(setup: "/s/bin/fabric-setup", gateway: "/s/bin/gateway"))
        #expect(names("gateway") == CommandNames(setup: "setup", gateway: "gateway"))
        #expect(names("d/gateway", there: ["d/setup", "d/fabric-setup"]).setup == "d/setup")
        #expect(names("d/fabric-setup", there: ["d/gateway"]).gateway == "d/gateway")
        #expect(names("") == CommandNames())
    }

    @Test func textsAreSpelled() {
        let plain = CommandNames(setup: "./setup", gateway: "./setup gateway")
        #expect(plain.spell("Mend it, then `gateway reload`.") == "Mend it, then ./setup gateway reload.")
        #expect(
            plain.spell("`setup bind`, or `other thing` or `gateway`") == "./setup bind, or `other thing` or `gateway`")
        #expect(plain.spell("no end `gateway reload") == "no end `gateway reload" && plain.spell("") == "")
        let elsewhere = plain.with(configuration: "/my files/g.json")
        #expect(elsewhere.spell("`gateway stop`") == "./setup gateway stop --config '/my files/g.json'")
        #expect(elsewhere.spell("`setup doctor --config x`") == "./setup doctor --config x")
        #expect(
            elsewhere.spell("`setup bind --agent-id a --command PROGRAM …`")
                == "./setup bind --agent-id a --config '/my files/g.json' --command PROGRAM …")
        #expect(plain.with(configuration: "./gateway.json").configuration == nil)
    }

    /// Copies of modules that lost their names and are mapped all the same.
    @Test func replacedCopiesAreCounted() {
        let maps = """
            7f0000000000-7f0000002000 r--p 00000000 08:01 11   /state/modules/fabric.1-2.a.so (deleted)
            7f0000002000-7f0000003000 r-xp 00002000 08:01 11   /state/modules/fabric.1-2.a.so (deleted)
            7f0000010000-7f0000014000 r--p 00000000 08:01 12   /state/modules/fabric.1-2.b c.so (deleted)
            7f0000020000-7f0000021000 r--p 00000000 08:01 13   /elsewhere/modules/fabric.so (deleted)
            7f0000030000-7f0000031000 r--p 00000000 08:01 14   /state/modules/fabric.1-2.d.so
            7f0000040000-7f0000041000 rw-p 00000000 00:00 0
            """
        let copies = MappedCopies(maps: maps, directory: "/state/modules")
        #expect(copies.count == 2 && copies.bytes == 0x3000 + 0x4000)
        #expect(copies.json == ["replaced": 2, "bytes": 0x7000])
        let one = MappedCopies(maps: maps, directory: "/state/modules", except: ["/state/modules/fabric.1-2.a.so"])
        #expect(one.count == 1 && one.bytes == 0x4000)
        #expect(MappedCopies(maps: "", directory: "/state/modules").count == 0)
    }
}
