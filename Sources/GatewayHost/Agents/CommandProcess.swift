import CGatewaySystem
import GatewayControl
import Glibc
import Locking

/// One run of a command, in a process group of its own, served by the one thread that calls `run()`.
final class CommandProcess: Sendable {
    enum End: Sendable, Equatable {
        case exited(Int32)
        case signalled(Int32)
        case timedOut
        case flooded
        case cancelled
        case notStarted(POSIXFailure)
    }

    struct Ended: Sendable {
        var end: End
        var output: [UInt8] = []
        /// The last bytes of standard error.
        var errors: String = ""
    }

    /// Descriptors that one run takes while it starts: six ends of pipes, an eventfd, and one to spare. A pidfd follows
    /// when three of them are closed.
    static let descriptors = 8
    /// What is kept of standard error: enough for the last lines of a stack trace.
    private static let keptErrors = 4096

    private let command: [String]
    private let input: [UInt8]
    private let timeout: Duration
    private let maximumOutput: Int
    private let hiddenVariables: Set<String>
    private let variables: [String: String]
    private let cancelled: Locked<Bool> = Locked(false)
    /// An eventfd that wakes the thread for a cancellation; closed with the object.
    private let wake: Int32
    private let reserve: DescriptorReserve

    init(
        command: [String], input: [UInt8], timeout: Duration, maximumOutput: Int, hiddenVariables: Set<String>,
        variables: [String: String] = [:], reserve: DescriptorReserve = DescriptorReserve()
    ) throws(POSIXFailure) {
        self.command = command
        self.input = input
        self.timeout = timeout
        self.maximumOutput = maximumOutput
        self.hiddenVariables = hiddenVariables
        self.variables = variables
        self.reserve = reserve
        wake = try reserve.making(1) { () throws(POSIXFailure) in
            let descriptor = gateway_eventfd()
            guard descriptor >= 0 else { throw POSIXFailure(operation: "making an eventfd") }
            return descriptor
        }
    }

    deinit { reserve.giveBack(wake) }

    /// Ends the run early, from any thread.
    func cancel() {
        cancelled.withLock { $0 = true }
        var one: UInt64 = 1
        _ = write(wake, &one, MemoryLayout<UInt64>.size)
    }

    /// Runs the command to its end. Blocks.
    func run() -> Ended {
        // Writing to a command that does not read its input must not end the gateway. The signal stays pending on this
        // thread, which ends with the run.
        var blocked = sigset_t()
        sigemptyset(&blocked)
        sigaddset(&blocked, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &blocked, nil)

        let started = ContinuousClock.now
        var pipes = CommandPipes(reserve: reserve)
        defer { pipes.closeAll() }
        let pid: pid_t
        do {
            try pipes.open()
            pid = try CommandSpawn.start(command, pipes: pipes, hiding: hiddenVariables, adding: variables)
        } catch {
            return Ended(end: .notStarted(error))
        }
        pipes.closeChildEnds()
        let watch = watch(pid)
        defer { if watch >= 0 { reserve.giveBack(watch) } }

        var ended = Ended(end: .exited(0))
        var forced: End?
        var errors: [UInt8] = []
        var sent = 0
        var exited = false
        while !exited {
            let left = timeout - (ContinuousClock.now - started)
            if cancelled.withLock({ $0 }) { forced = .cancelled }
            if forced != nil { break }
            var polled = [
                pollfd(fd: watch, events: Int16(POLLIN), revents: 0),
                pollfd(fd: wake, events: Int16(POLLIN), revents: 0),
                pollfd(fd: pipes.output, events: Int16(POLLIN), revents: 0),
                pollfd(fd: pipes.errors, events: Int16(POLLIN), revents: 0),
                pollfd(fd: pipes.input, events: Int16(POLLOUT), revents: 0),
            ]
            // Without a pidfd (an old kernel) the exit is seen by looking every 50 ms.
            let wait = max(0, min(left / .milliseconds(1), watch >= 0 ? 60_000 : 50))
            let ready = poll(&polled, nfds_t(polled.count), Int32(wait.rounded(.up)))
            if ready < 0, errno != EINTR {
                forced = .notStarted(POSIXFailure(operation: "waiting for \(command.first ?? "")"))
                break
            }
            if polled[4].revents != 0 { sent = feed(&pipes, from: sent) }
            if polled[2].revents != 0, !pipes.take(\.output, into: &ended.output, limit: maximumOutput) {
                forced = .flooded
            }
            if polled[3].revents != 0 { takeErrors(&pipes, into: &errors) }
            exited = polled[0].revents != 0 || (watch < 0 && hasExited(pid))
            forced = Self.verdict(forced, hasEnded: exited, left: left)
        }
        if exited {
            // What it wrote before it ended is still in the pipes; whoever inherited them is not waited for.
            if !pipes.take(\.output, into: &ended.output, limit: maximumOutput) { forced = .flooded }
            takeErrors(&pipes, into: &errors)
        }
        // The leader is not reaped yet, so its group's number cannot be anybody else's.
        kill(-pid, SIGKILL)
        let fate = reap(pid, watch)
        ended.end = forced ?? fate
        ended.errors = String(decoding: errors.suffix(Self.keptErrors), as: UTF8.self).trimmingEnd()
        return ended
    }

    /// Why it is to be ended, if it is. What has ended while this thread, or the machine, stood still did not take too long.
    static func verdict(_ forced: End?, hasEnded: Bool, left: Duration) -> End? {
        forced ?? (!hasEnded && left <= .zero ? .timedOut : nil)
    }

    /// A descriptor that tells when the child ends; −1 if the system has none to give.
    private func watch(_ pid: pid_t) -> Int32 {
        let made = try? reserve.making(1) { () throws(POSIXFailure) in
            let descriptor = gateway_pidfd(pid)
            guard descriptor >= 0 else { throw POSIXFailure(operation: "watching a process") }
            return descriptor
        }
        return made ?? -1
    }

    /// Writes what the pipe takes; closes it when all is sent or nobody reads.
    private func feed(_ pipes: inout CommandPipes, from sent: Int) -> Int {
        guard pipes.input >= 0 else { return sent }
        let count = input.withUnsafeBytes { bytes in
            write(pipes.input, bytes.baseAddress?.advanced(by: sent), bytes.count - sent)
        }
        if count < 0, errno == EAGAIN || errno == EINTR { return sent }
        let total = sent + max(0, count)
        if count < 0 || total == input.count { pipes.close(\.input) }
        return total
    }

    private func takeErrors(_ pipes: inout CommandPipes, into errors: inout [UInt8]) {
        _ = pipes.take(\.errors, into: &errors, limit: .max, once: true)
        if errors.count > 4 * Self.keptErrors { errors.removeFirst(errors.count - Self.keptErrors) }
    }

    private func hasExited(_ pid: pid_t) -> Bool {
        var facts = siginfo_t()
        return waitid(P_PID, id_t(pid), &facts, WEXITED | WNOHANG | WNOWAIT) == 0 && facts.si_signo != 0
    }

    /// Collects the child, which is dead or about to be.
    private func reap(_ pid: pid_t, _ watch: Int32) -> End {
        var code: Int32 = 0
        var signal: Int32 = 0
        while true {
            switch gateway_reap(pid, &code, &signal) {
            case 1: return signal != 0 ? .signalled(signal) : .exited(code)
            case 0:
                var polled = pollfd(fd: watch, events: Int16(POLLIN), revents: 0)
                poll(&polled, 1, watch >= 0 ? 1000 : 10)
            default: return .notStarted(POSIXFailure(operation: "collecting \(command.first ?? "")"))
            }
        }
    }
}
