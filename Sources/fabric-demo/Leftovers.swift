import Foundation
import Synchronization

/// What an interrupted demo would leave behind: processes and a directory. A signal ends the ones and removes the other.
final class Leftovers: Sendable {
    private struct State {
        var processes: [pid_t] = []
        var isEnding = false
    }

    private let state = Mutex(State())
    /// Nil if it is to be kept.
    private let directory: String?

    init(directory: String?) { self.directory = directory }

    /// Starts a process; does not return if the end has begun.
    func start(_ process: Process) throws {
        let isStarted = try state.withLock { state in
            guard !state.isEnding else { return false }
            try process.run()
            state.processes.append(process.processIdentifier)
            return true
        }
        if !isStarted { waitIfEnding() }
    }

    /// Once the end has begun, whoever cleans up ends this process: nobody else may, or writes into the directory.
    func waitIfEnding() {
        while state.withLock({ $0.isEnding }) { usleep(10_000) }
    }

    /// A process has ended and was waited for: its number may be another's now.
    func ended(_ process: Process) {
        state.withLock { $0.processes.removeAll { $0 == process.processIdentifier } }
    }

    /// From now on SIGINT, SIGTERM and SIGHUP clean up, and end the process as they would have without that.
    func watchSignals() -> [any DispatchSourceSignal] {
        [SIGINT, SIGTERM, SIGHUP].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [self] in end(by: number) }
            source.resume()
            return source
        }
    }

    private func end(by number: Int32) {
        let processes = state.withLock { state in
            state.isEnding = true
            return state.processes
        }
        for process in processes { kill(process, SIGKILL) }
        // Nothing may write into the directory while it is being removed. Foundation's own thread waits for them.
        for process in processes {
            for _ in 0..<2000 where kill(process, 0) == 0 { usleep(1000) }
        }
        // A file that was just being made can be missed once.
        for _ in 0..<1000 {
            guard let directory, FileManager.default.fileExists(atPath: directory) else { break }
            try? FileManager.default.removeItem(atPath: directory)
            usleep(1000)
        }
        FileHandle.standardError.write(Data("fabric-demo: interrupted\n".utf8))
        signal(number, SIG_DFL)
        kill(getpid(), number)
    }
}
