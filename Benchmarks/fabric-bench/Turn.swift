import ArgumentParser
import FabricSimulator
import Foundation

/// A whole turn: a message in, the echo agent's answer out, against the simulator. The reference is a client that hears and
/// posts, with nothing between: what the simulator and the wire take of a turn.
struct Turn: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A message in, an agent's answer out, against the simulator.")

    @Option(help: "Turns one after the other, for the latency.")
    var turns = 300
    @Option(help: "Turns in all channels at once, for the rate.")
    var burst = 2000
    @Option(help: "Agents, one channel each.")
    var agents = 20

    func run() throws {
        let scene = try waitFor { [agents] in try await ReloadScene(agents: agents, withPerson: true) }
        defer { scene.close() }
        let bare = try Child(
            ["echo-bare", "--center", scene.center, "--keys", scene.keys.joined(separator: ",")])
        guard try bare.line() == "ready" else { throw ValidationError("the bare client did not connect") }
        let reference = try measure(scene, of: bare.processIdentifier)
        bare.stop()
        try scene.start()
        let own = try measure(scene, of: scene.gatewayProcess)
        report([
            ("bench", text("turn")), ("turns", "\(turns)"), ("burst", "\(burst)"), ("agents", "\(agents)"),
            ("milliseconds_median", rounded(own.median)), ("milliseconds_p99", rounded(own.p99)),
            ("turns_per_second", rounded(own.rate, 0)), ("microseconds_cpu", rounded(own.cpu, 1)),
            ("simulator_microseconds_cpu", rounded(own.simulator, 1)),
            ("reference", text("a client that hears and posts")),
            ("reference_milliseconds_median", rounded(reference.median)),
            ("reference_milliseconds_p99", rounded(reference.p99)),
            ("reference_turns_per_second", rounded(reference.rate, 0)),
            ("reference_microseconds_cpu", rounded(reference.cpu, 1)),
            ("simulator_microseconds_cpu_with_reference", rounded(reference.simulator, 1)),
            ("ratio_median", rounded(own.median / reference.median, 2)),
            ("ratio_rate", rounded(own.rate / reference.rate, 2)),
        ])
    }

    private struct Figures {
        /// Milliseconds from the post to the answer, one turn at a time.
        var median = 0.0
        var p99 = 0.0
        /// With all channels at work at once.
        var rate = 0.0
        /// Microseconds of a turn of the burst, of the answering process and of this one, which is the simulator.
        var cpu = 0.0
        var simulator = 0.0
    }

    private func measure(_ scene: ReloadScene, of process: Int32) throws -> Figures {
        // The first ones pay for connections, caches and pages.
        _ = try waitFor { try await scene.turns(50, inOneChannel: true) }
        let single = try waitFor { [turns] in try await scene.turns(turns, inOneChannel: true) }.sorted()
        let before = (cpuSeconds(of: process), cpuSeconds(of: getpid()), ContinuousClock.now)
        let done = try waitFor { [burst] in try await scene.turns(burst, inOneChannel: false) }.count
        let seconds = (ContinuousClock.now - before.2) / .seconds(1)
        var figures = Figures()
        figures.median = single[single.count / 2]
        figures.p99 = single[min(single.count - 1, single.count * 99 / 100)]
        figures.rate = Double(done) / seconds
        figures.cpu = (cpuSeconds(of: process) - before.0) / Double(done) * 1e6
        figures.simulator = (cpuSeconds(of: getpid()) - before.1) / Double(done) * 1e6
        return figures
    }
}

extension ReloadScene {
    /// Lets a person post, and waits for the answers: in one channel the next after the answer to the one before, else in all
    /// channels side by side. Milliseconds of each.
    func turns(_ count: Int, inOneChannel: Bool) async throws -> [Double] {
        guard let person else { throw ValidationError("nobody posts here") }
        let rooms = inOneChannel ? Array(rooms.prefix(1)) : rooms
        let share = max(1, count / rooms.count)
        return try await withThrowingTaskGroup(of: [Double].self) { group in
            for room in rooms {
                group.addTask { [sim] in
                    var times: [Double] = []
                    let first = await sim.history(room).last?.seq ?? 0
                    var messages = await sim.messages(room).makeAsyncIterator()
                    for _ in 0..<share {
                        let start = ContinuousClock.now
                        let asked = try await sim.post(as: person, in: room, content: "How far is it to the sea?")
                        while let message = await messages.next() {
                            if message.seq > max(asked.seq, first), message.author != person { break }
                        }
                        times.append((ContinuousClock.now - start) / .milliseconds(1))
                    }
                    return times
                }
            }
            var all: [Double] = []
            for try await times in group { all += times }
            return all
        }
    }
}

/// CPU of a process, in user and kernel together.
func cpuSeconds(of process: Int32) -> Double {
    let text = (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)) ?? ""
    // The name in parentheses may hold anything; the times are the 12th and 13th field behind it.
    let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
    guard fields.count > 12, let user = Double(fields[11]), let kernel = Double(fields[12]) else { return 0 }
    return (user + kernel) / Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
}
