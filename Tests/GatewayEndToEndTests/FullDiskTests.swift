import FabricSimulator
import Foundation
import GatewayControl
import JSONBytes
import Testing

extension GatewayEndToEnd {
    /// A state directory on a small disk of its own, which fills up under traffic and is freed again.
    @Suite(.enabled(if: geteuid() == 0, "a disk of its own can only be mounted by root")) struct FullDisk {
        @Test(.timeLimit(.minutes(5))) func nothingIsLostOrRepeatedAndTheStatusSaysIt() async throws {
            try await Stage.play { stage in
                let disk = stage.stateDirectory
                try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
                let mount = try stage.spawn("/bin/mount", ["-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs", disk])
                // Some containers allow root no mounts; then there is nothing to try here.
                guard try await mount.end() == 0 else { return }
                do {
                    try await fillAndFree(stage, disk)
                    try await unmount(stage, disk)
                } catch {
                    try await unmount(stage, disk)
                    throw error
                }
            }
        }

        private func unmount(_ stage: Stage, _ disk: String) async throws {
            // Lazily: a gateway that a failed test left behind may still be in it.
            _ = try await stage.spawn("/bin/umount", ["-l", disk]).end()
        }

        private func fillAndFree(_ stage: Stage, _ disk: String) async throws {
            let room = try await Room("echo", on: stage)
            try stage.configure(
                accounts: ["echo": room.key], agents: ["echo": ["builtin": "echo"]])
            let gateway = try await stage.startGateway()
            try await room.connected()
            try await room.ask("before")
            let filler = disk + "/filler"
            try fill(filler)
            for number in 0..<40 { try await room.post("full \(number) " + String(repeating: "x", count: 3000)) }
            _ = try await eventually("the status to say it", within: .seconds(60)) {
                let account = (try? await stage.status())?["accounts"]?.array?.first
                let reason = account?["reason"]?.string ?? ""
                return reason.contains("recorded") && account?["connected"]?.bool == false ? true : nil
            }
            unlink(filler)
            try await room.ask("after")
            let answers = await room.answers
            let expected = await room.asked.map { "echo: \($0)" }
            #expect(answers == expected)
            #expect(try await stage.stop(gateway).code == 0)
        }

        /// Takes all the room there is.
        private func fill(_ path: String) throws {
            let descriptor = open(path, O_CREAT | O_WRONLY, 0o600)
            guard descriptor >= 0 else { throw TestFailure("no file on the small disk") }
            defer { close(descriptor) }
            let block = [UInt8](repeating: 0, count: 4096)
            while write(descriptor, block, block.count) > 0 {}
        }
    }
}
