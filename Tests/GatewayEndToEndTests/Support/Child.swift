import CGatewaySystem
import Foundation
import GatewayControl

@testable import GatewayHost

/// A child process with default signals, an empty signal mask (threads of Swift's pool block signals, and a child inherits
/// that) and no descriptor but its own three.
final class Child: Sendable {
    let pid: pid_t
    let output = Watched("")
    let errors = Watched("")
    /// The exit code, or minus the signal.
    private let ended = Once<Int32>()
    private let read = [Once<Void>(), Once<Void>()]

    init(_ program: String, _ arguments: [String], environment: [String: String] = [:]) throws {
        var pipes = CommandPipes()
        try pipes.open()
        for end in [pipes.output, pipes.errors] { _ = fcntl(end, F_SETFL, 0) }
        pid = try Self.spawn(program, arguments, environment, pipes)
        pipes.closeChildEnds()
        pipes.close(\.input)
        let (pid, ended, errors) = (pid, ended, errors)
        for (descriptor, text, done) in [(pipes.output, output, read[0]), (pipes.errors, errors, read[1])] {
            Thread.detachNewThread {
                Self.drain(descriptor, into: text)
                done.decide(())
            }
        }
        Thread.detachNewThread {
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
            let signal = status & 0x7f
            ended.decide(signal == 0 ? (status >> 8) & 0xff : -signal)
            // Whoever waits for words looks once more.
            errors.change { _ in }
        }
    }

    private static func drain(_ descriptor: Int32, into text: Watched<String>) {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            text.change { $0 += String(decoding: chunk[..<count], as: UTF8.self) }
        }
        close(descriptor)
    }

    private static func spawn(
        _ program: String, _ arguments: [String], _ environment: [String: String], _ pipes: CommandPipes
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_adddup2(&actions, pipes.childInput, 0)
        posix_spawn_file_actions_adddup2(&actions, pipes.childOutput, 1)
        posix_spawn_file_actions_adddup2(&actions, pipes.childErrors, 2)
        gateway_spawn_close_from(&actions, 3)
        var all = sigset_t()
        var none = sigset_t()
        sigfillset(&all)
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        let merged = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
        var variables: [UnsafeMutablePointer<CChar>?] = merged.map { strdup("\($0)=\($1)") } + [nil]
        defer { for text in words + variables { free(text) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, program, &actions, &attributes, &words, &variables)
        guard code == 0 else { throw POSIXFailure(operation: "starting \(program)", code: code) }
        return pid
    }

    func signal(_ number: Int32) { kill(pid, number) }

    /// Its exit code, or minus the signal that ended it, when it has ended and all it wrote is read.
    func end(within limit: Duration = .seconds(60)) async throws -> Int32 {
        let code = await ended.value(within: limit, or: Int32.max)
        guard code != Int32.max else { throw TestFailure("process \(pid) did not end within \(limit)") }
        for done in read { await done.value(within: .seconds(60), or: ()) }
        return code
    }

    func hasEnded() -> Bool { ended.decided != nil }

    /// Ends it if it still runs.
    func destroy() async {
        if !hasEnded() { kill(pid, SIGKILL) }
        _ = await ended.value()
    }

    /// Waits until standard error shows the text; a process that has ended is not waited for.
    func says(_ text: String, within limit: Duration = .seconds(60)) async throws {
        let said = try await errors.wait(for: "“\(text)” in \(errors.value)", within: limit) {
            $0.contains(text) ? true : hasEnded() ? false : nil
        }
        if said { return }
        _ = try await end()
        guard errors.value.contains(text) else { throw TestFailure("process \(pid) ended: \(errors.value)") }
    }
}
