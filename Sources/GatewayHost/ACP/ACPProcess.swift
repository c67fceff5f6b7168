import CGatewaySystem
import GatewayControl
import Glibc
import Locking

/// An agent's process that stays: lines in and out, on one thread that ends with it.
final class ACPProcess: Sendable {
    enum Event: Sendable {
        /// One line of standard output.
        case line([UInt8])
        /// Something on standard error.
        case errors(String)
        case ended(String)

        /// About what it takes in memory, in bytes.
        var weight: Int {
            switch self {
            case .line(let line): line.count + 64
            case .errors(let text): text.utf8.count + 64
            case .ended: 0
            }
        }
    }

    /// Longest line, in bytes: an agent that sends more is out of its mind.
    static let maximumLine = 16 << 20
    /// Bytes that wait for an agent that does not read.
    static let maximumUnsent = 32 << 20
    /// Bytes of what was reported and not taken yet: an agent that writes faster than it is heard waits.
    static let maximumUntaken = 4 << 20
    /// How long a process has to end by itself when its input was closed.
    static let patience = Duration.seconds(1)
    /// What is kept of standard error, for the reason of its end.
    private static let keptErrors = 2048

    private struct State {
        var unsent: [UInt8] = []
        var untaken = 0
        var killing = false
    }

    private let command: [String]
    /// Where it runs.
    private let directory: String
    private let hiddenVariables: Set<String>
    private let reserve: DescriptorReserve
    private let state = Locked(State())
    private let wake: Int32
    private let report: @Sendable (Event) -> Void

    init(
        command: [String], directory: String, hiddenVariables: Set<String>, reserve: DescriptorReserve,
        report: @escaping @Sendable (Event) -> Void
    ) throws(POSIXFailure) {
        self.command = command
        self.directory = directory
        self.hiddenVariables = hiddenVariables
        self.reserve = reserve
        self.report = report
        wake = try reserve.making(1) { () throws(POSIXFailure) in
            let descriptor = gateway_eventfd()
            guard descriptor >= 0 else { throw POSIXFailure(operation: "making an eventfd") }
            return descriptor
        }
    }

    deinit { reserve.giveBack(wake) }

    /// Sends one line, sooner or later.
    func write(_ line: [UInt8]) {
        state.withLock { $0.unsent += line + [UInt8(ascii: "\n")] }
        ring()
    }

    /// What was reported has been taken: more may come.
    func took(_ event: Event) {
        let mayGoOn = state.withLock { state in
            let wasFull = state.untaken > Self.maximumUntaken
            state.untaken -= event.weight
            return wasFull && state.untaken <= Self.maximumUntaken
        }
        if mayGoOn { ring() }
    }

    private func tell(_ event: Event) {
        state.withLock { $0.untaken += event.weight }
        report(event)
    }

    /// Ends it: its input is closed, and what does not end by that is killed.
    func kill() {
        state.withLock { $0.killing = true }
        ring()
    }

    private func ring() {
        var one: UInt64 = 1
        _ = Glibc.write(wake, &one, MemoryLayout<UInt64>.size)
    }

    /// Starts the process and serves it to its end. Blocks; reports `ended` last, and once.
    func run() {
        var blocked = sigset_t()
        sigemptyset(&blocked)
        sigaddset(&blocked, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &blocked, nil)
        var pipes = CommandPipes(reserve: reserve)
        defer { pipes.closeAll() }
        let pid: pid_t
        do {
            // Or the system would blame the program for it.
            guard access(directory, X_OK) == 0 else { throw POSIXFailure(operation: "entering \(directory)") }
            try pipes.open()
            pid = try CommandSpawn.start(
                command, pipes: pipes, hiding: hiddenVariables, adding: [:], directory: directory)
        } catch {
            return report(.ended("\(error)"))
        }
        pipes.closeChildEnds()
        let watch = gateway_pidfd(pid)
        defer { if watch >= 0 { close(watch) } }
        var reason: String?
        var line: [UInt8] = []
        var errors: [UInt8] = []
        var killAt: ContinuousClock.Instant?
        var exited = false
        while !exited {
            if state.withLock({ $0.killing }), killAt == nil {
                killAt = .now.advanced(by: Self.patience)
                pipes.close(\.input)
            }
            if let killAt, .now >= killAt { break }
            let (hasUnsent, isFull) = state.withLock { (!$0.unsent.isEmpty, $0.untaken > Self.maximumUntaken) }
            var polled = [
                pollfd(fd: watch, events: Int16(POLLIN), revents: 0),
                pollfd(fd: wake, events: Int16(POLLIN), revents: 0),
                pollfd(fd: isFull ? -1 : pipes.output, events: Int16(POLLIN), revents: 0),
                pollfd(fd: isFull ? -1 : pipes.errors, events: Int16(POLLIN), revents: 0),
                pollfd(fd: hasUnsent ? pipes.input : -1, events: Int16(POLLOUT), revents: 0),
            ]
            // Without a pidfd (an old kernel) the exit is seen by looking every 50 ms.
            let wait: Int32 = killAt != nil || watch < 0 ? 50 : -1
            if poll(&polled, nfds_t(polled.count), wait) < 0, errno != EINTR {
                reason = "\(POSIXFailure(operation: "waiting for \(command.first ?? "")"))"
                break
            }
            if polled[1].revents != 0 {
                var count: UInt64 = 0
                _ = read(wake, &count, MemoryLayout<UInt64>.size)
            }
            if polled[4].revents != 0 { feed(&pipes) }
            if polled[3].revents != 0 { takeErrors(&pipes, into: &errors) }
            if polled[2].revents != 0, let flood = takeLines(&pipes, into: &line) {
                reason = flood
                break
            }
            if state.withLock({ $0.unsent.count > Self.maximumUnsent }) {
                reason = "it does not read what it is sent"
                break
            }
            exited = polled[0].revents != 0 || (watch < 0 && hasExited(pid))
        }
        if exited {
            _ = takeLines(&pipes, into: &line, once: false)
            takeErrors(&pipes, into: &errors)
        }
        // The leader is not reaped yet, so its group's number cannot be anybody else's.
        Glibc.kill(-pid, SIGKILL)
        let fate = reap(pid, watch)
        let last =
            String(decoding: errors.suffix(Self.keptErrors), as: UTF8.self)
            .split(separator: "\n").last.map { ": " + $0.prefix(300) } ?? ""
        report(.ended("\(command.first ?? "") \(reason ?? fate)\(last)"))
    }

    private func feed(_ pipes: inout CommandPipes) {
        let input = pipes.input
        guard input >= 0 else { return state.withLock { $0.unsent = [] } }
        let isGone = state.withLock { state in
            let count = state.unsent.withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) }
            if count > 0 {
                state.unsent.removeFirst(count)
                return false
            }
            guard errno != EAGAIN, errno != EINTR else { return false }
            state.unsent = []
            return true
        }
        if isGone { pipes.close(\.input) }
    }

    /// - Returns: why it cannot go on, if so.
    private func takeLines(_ pipes: inout CommandPipes, into line: inout [UInt8], once: Bool = true) -> String? {
        var bytes: [UInt8] = []
        _ = pipes.take(\.output, into: &bytes, limit: Self.maximumLine, once: once)
        var rest = bytes[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            line += rest[..<end]
            if line.contains(where: { $0 > 32 }) { tell(.line(line)) }
            line = []
            rest = rest[(end + 1)...]
        }
        line += rest
        return line.count > Self.maximumLine ? "sent a line of more than \(Self.maximumLine) bytes" : nil
    }

    private func takeErrors(_ pipes: inout CommandPipes, into errors: inout [UInt8]) {
        var bytes: [UInt8] = []
        _ = pipes.take(\.errors, into: &bytes, limit: .max, once: true)
        guard !bytes.isEmpty else { return }
        errors = (errors + bytes).suffix(Self.keptErrors * 2)
        tell(.errors(String(decoding: bytes.suffix(Self.keptErrors), as: UTF8.self).trimmingEnd()))
    }

    private func hasExited(_ pid: pid_t) -> Bool {
        var facts = siginfo_t()
        return waitid(P_PID, id_t(pid), &facts, WEXITED | WNOHANG | WNOWAIT) == 0 && facts.si_signo != 0
    }

    private func reap(_ pid: pid_t, _ watch: Int32) -> String {
        var code: Int32 = 0
        var signal: Int32 = 0
        while true {
            switch gateway_reap(pid, &code, &signal) {
            case 1: return signal != 0 ? "was ended by signal \(signal)" : "ended with exit code \(code)"
            case 0:
                var polled = pollfd(fd: watch, events: Int16(POLLIN), revents: 0)
                poll(&polled, 1, watch >= 0 ? 1000 : 10)
            default: return "\(POSIXFailure(operation: "cannot be collected"))"
            }
        }
    }
}
