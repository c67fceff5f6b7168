import Foundation
import Locking

/// The person at the other end: lines, questions, and what is going on just now.
final class Terminal: Sendable {
    private let shownStep = Locked(false)
    private let showsProgress = isatty(STDERR_FILENO) == 1

    /// Writes a line. The line that tells of progress makes way for it.
    func write(_ line: String, to descriptor: Int32) {
        progress(nil)
        put(line + "\n", descriptor)
    }

    /// Shows what is being done, on a terminal alone and on one line; nil takes the line away.
    func progress(_ step: String?) {
        guard showsProgress else { return }
        shownStep.withLock { isShown in
            if let step {
                put("\r\u{1B}[K\(step) …", STDERR_FILENO)
                isShown = true
            } else if isShown {
                put("\r\u{1B}[K", STDERR_FILENO)
                isShown = false
            }
        }
    }

    /// Asks on standard error, so that standard output holds results alone.
    func ask(_ question: String, _ isSecret: Bool) -> String? {
        progress(nil)
        put(question + " ", STDERR_FILENO)
        var before = termios()
        guard isSecret, tcgetattr(STDIN_FILENO, &before) == 0 else { return readLine(strippingNewline: true) }
        var silent = before
        silent.c_lflag &= ~tcflag_t(ECHO)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
        defer {
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &before)
            put("\n", STDERR_FILENO)
        }
        return readLine(strippingNewline: true)
    }

    private func put(_ text: String, _ descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }
}
