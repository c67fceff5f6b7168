import FabricSimulator
import Foundation
import JSONBytes
import Testing

/// `./setup install`, from the built products on.
@Suite(.timeLimit(.minutes(5))) struct InstallTests {
    /// Installs the products beside the tests into a folder of the desk's.
    private func install(_ desk: Desk, _ folder: String, _ options: [String] = []) async throws -> RunningCommand {
        try await RunningCommand(
            "\(package)/Scripts/install", [products, folder] + options, directory: desk.path
        ).ended()
    }

    private func tool(_ program: String, _ arguments: [String]) async throws -> String {
        try await RunningCommand(program, arguments, environment: ["LC_ALL": "C"]).ended().all
    }

    private func inode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int
    }

    @Test func theFolderStandsOnItsOwn() async throws {
        let desk = try Desk()
        let made = try await install(desk, "made", ["--with-runtime", "--with-gateway"])
        #expect(made.code == 0, "\(made.all)")
        // What is installed may be moved: nothing in it knows where it was made.
        let plugin = desk.path + "/plugins/fabric"
        try FileManager.default.createDirectory(atPath: desk.path + "/plugins", withIntermediateDirectories: true)
        try FileManager.default.moveItem(atPath: desk.path + "/made", toPath: plugin)

        let manifest = try JSONValue(parsing: Array(Data(contentsOf: URL(fileURLWithPath: plugin + "/plugin.json"))))
        #expect(manifest["module"] == "./libFabricModule.so" && manifest["setupEntry"] == "./setup")
        for file in ["libFabricModule.so", "fabric-setup", "gateway"] {
            let dynamic = try await tool("/usr/bin/readelf", ["-d", "\(plugin)/\(file)"])
            let path = dynamic.split(separator: "\n").first { $0.contains("RUNPATH") } ?? ""
            #expect(path.contains("[$ORIGIN/runtime:") && path.contains("/usr/lib/swift/linux"), "\(path)")
            // Every Swift library it needs lies in the folder.
            let wanted = try await tool("/usr/bin/ldd", ["\(plugin)/\(file)"])
            let swift = wanted.split(separator: "\n").filter { $0.contains("libswift") }
            #expect(!swift.isEmpty && swift.allSatisfy { $0.contains("=> \(plugin)/runtime/libswift") }, "\(wanted)")
            #expect(!wanted.contains("/usr/lib/swift/linux/"), "\(wanted)")
        }
        // What an author of another gateway needs, and what it may be used for.
        let host = try await tool(
            "/usr/bin/cc",
            [
                "-I", "\(plugin)/include", "-o", "\(desk.path)/host", "\(plugin)/Examples/CHost/host.c", "-ldl",
                "-lpthread",
            ])
        #expect(host.isEmpty && FileManager.default.isExecutableFile(atPath: desk.path + "/host"), "\(host)")
        let readme = try String(contentsOfFile: plugin + "/README.md", encoding: .utf8)
        for link in readme.matches(of: /\]\(([A-Za-z][A-Za-z\/_.]*\.(?:h|md))\)/) {
            let name = String(link.output.1)
            #expect(FileManager.default.fileExists(atPath: "\(plugin)/\(name)"), "\(name)")
        }
        #expect(FileManager.default.fileExists(atPath: plugin + "/LICENSE"))

        // The setup entry and the gateway of the folder, from elsewhere.
        try await withSimulator { sim in
            let agent = try await sim.createUser(name: "echo")
            let room = try await sim.createChannel(name: "general", members: [agent.id])
            let bind = try await RunningCommand(
                "\(plugin)/setup", ["bind", "--agent-id", "echo", "--center", sim.centerBase, "--config", desk.file],
                input: agent.apiKey
            ).ended()
            #expect(bind.code == 0, "\(bind.all)")
            let typed = "\(plugin)/setup gateway run --config \(desk.file)"
            #expect(bind.output.contains("Start one with: \(typed)\n"), "\(bind.all)")
            #expect(try String(contentsOfFile: desk.file, encoding: .utf8).contains("\"\(plugin)/plugin.json\""))
            let gateway = try RunningCommand("\(plugin)/gateway", ["run", "--config", desk.file])
            do {
                try await gateway.wait(for: "gateway runs")
                try await sim.waitForSockets(user: agent.id, joined: room.id, timeout: .seconds(60))
                let before = try (inode(plugin + "/libFabricModule.so"), inode(plugin + "/runtime/libswiftCore.so"))
                // Installing over what runs: other files take the names, the mapped ones stay whole.
                let again = try await install(desk, plugin, ["--with-runtime", "--with-gateway"])
                #expect(again.code == 0, "\(again.all)")
                #expect(try inode(plugin + "/libFabricModule.so") != before.0)
                #expect(try inode(plugin + "/runtime/libswiftCore.so") != before.1)
                let reload = try await desk.run("gateway", ["reload", "--module"])
                #expect(reload.code == 0, "\(reload.all)")
                try await sim.waitForSockets(user: agent.id, joined: room.id, timeout: .seconds(60))
                try await desk.run("gateway", ["stop"])
                #expect(try await gateway.ended().code == 0)
            } catch {
                kill(gateway.pid, SIGKILL)
                throw error
            }
        }
        // Moved once more, under a configuration that names it: the doctor says where it is now.
        try FileManager.default.moveItem(atPath: plugin, toPath: desk.path + "/moved")
        let doctor = try await RunningCommand(
            "\(desk.path)/moved/setup", ["doctor", "--offline", "--config", desk.file]
        ).ended()
        let remedy =
            "The plugin of this command is at \(desk.path)/moved/plugin.json: set plugins.fabric.manifest to that"
        #expect(doctor.code == 2 && doctor.output.contains(remedy), "\(doctor.all)")
        try FileManager.default.moveItem(atPath: desk.path + "/moved", toPath: plugin)
        let left = try FileManager.default.contentsOfDirectory(atPath: plugin).filter { $0.hasSuffix(".tmp") }
        #expect(left.isEmpty)
    }

    private func withSimulator(_ body: (FabricSimulator) async throws -> Void) async throws {
        let sim = try await FabricSimulator.start(.init(guilds: ["sim-guild-1"]))
        do {
            try await body(sim)
            await sim.stop()
        } catch {
            await sim.stop()
            throw error
        }
    }

    @Test func otherFoldersAreLeftAlone() async throws {
        let desk = try Desk()
        try FileManager.default.createDirectory(atPath: desk.path + "/mine", withIntermediateDirectories: true)
        try desk.write("precious", to: "mine/setup")
        let refused = try await install(desk, "mine")
        #expect(refused.code == 1 && refused.errors.contains("is no plugin folder"), "\(refused.all)")
        #expect(try String(contentsOfFile: desk.path + "/mine/setup", encoding: .utf8) == "precious")
        #expect(try await install(desk, "new", ["--what"]).code == 1)
        #expect(!FileManager.default.fileExists(atPath: desk.path + "/new"))
    }
}
