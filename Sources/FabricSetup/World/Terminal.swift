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
                put("\r\u{1B}[K" + Self.line("\(step) …", width: Self.width), STDERR_FILENO)
                isShown = true
            } else if isShown {
                put("\r\u{1B}[K", STDERR_FILENO)
                isShown = false
            }
        }
    }

    /// As much of a text as stands on one line, however narrow it is; a longer one could not be taken back.
    static func line(_ text: String, width: Int) -> String {
        text.count < width ? text : String(text.prefix(max(0, width - 2))) + "…"
    }

    /// The columns of the terminal; 80 where it does not say.
    private static var width: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// Asks on standard error, so that standard output holds results alone.
    func ask(_ question: String, _ isSecret: Bool) -> String? {
        progress(nil)
        if isSecret, let answer = readHidden(question) { return answer.line }
        put(question + " ", STDERR_FILENO)
        return readLine(strippingNewline: true)
    }

    private struct Answer {
        var line: String?
    }

    /// A line without echo; nil if standard input is no terminal. The terminal's own line editing is off meanwhile,
    /// for an interrupt must not leave it without echo.
    private func readHidden(_ question: String) -> Answer? {
        var before = termios()
        guard tcgetattr(STDIN_FILENO, &before) == 0 else { return nil }
        var silent = before
        silent.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
        // Not before: what is typed at once would be shown, and thrown away.
        put(question + " ", STDERR_FILENO)
        var bytes: [UInt8] = []
        var key: UInt8 = 0
        reading: while true {
            let count = Foundation.read(STDIN_FILENO, &key, 1)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            switch key {
            case 0x0A, 0x0D, 0x04, 0x03: break reading
            case 0x7F, 0x08: _ = bytes.popLast()
            case 0x15: bytes = []
            default: bytes.append(key)
            }
        }
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before)
        put("\n", STDERR_FILENO)
        // Control-C, as the terminal would have sent it.
        if key == 0x03 { kill(getpid(), SIGINT) }
        return Answer(line: bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self))
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
