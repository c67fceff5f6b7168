import FabricSimulator
import Foundation
import JSONBytes
import Testing

@testable import GatewayHost

extension GatewayEndToEnd {
    /// What module reloads leave behind in the process.
    @Suite struct ReloadCost {
        struct Footprint: Sendable {
            var descriptors: Int
            var threads: Int
            /// Anonymous memory in kilobytes: heap, and pages of libraries that were written to. What else a library maps can
            /// be dropped by the system at any time.
            var kilobytes: Int

            init(of pid: pid_t) throws {
                descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count
                threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task").count
                let rollup = try String(contentsOfFile: "/proc/\(pid)/smaps_rollup", encoding: .utf8)
                let line = rollup.split(separator: "\n").first { $0.hasPrefix("Anonymous:") }
                kilobytes = line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func aHundredModuleReloadsKeepNoDescriptorNoThreadAndLittleMemory() async throws {
            try await Stage.play { stage in
                let room = try await stage.echoRoom()
                let gateway = try await stage.startGateway()
                var sid = try await room.connected()
                func reload(_ count: Int) async throws {
                    for number in 0..<count {
                        _ = try await stage.reload(module: true)
                        sid = try await room.connected(excluding: [sid])
                        if number % 10 == 0 { try await room.ask("\(sid)") }
                    }
                }
                // The first ones pay for what is there once: pools of threads, caches, the heap's own growth.
                try await reload(20)
                let before = try Footprint(of: gateway.pid)
                try await reload(100)
                let after = try await eventually("descriptors and threads as before") {
                    let now = try Footprint(of: gateway.pid)
                    return now.descriptors <= before.descriptors && now.threads <= before.threads ? now : nil
                }
                let each = Double(after.kilobytes - before.kilobytes) / 100
                print("module reloads: \(before) → \(after): \(each) KB each")
                #expect(each <= 64, "\(each) KB are kept by each reload")
                #expect(await stage.sim.counters.logins[room.agent.id] == 1)
                #expect(try await stage.stop(gateway).code == 0)
                #expect(stage.leftovers() == [])
            }
        }
    }
}
