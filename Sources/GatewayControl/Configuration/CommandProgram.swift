import Glibc

/// Whether the program of an agent's command is there and may be run, as this process would find it.
package enum CommandProgram {
    /// What is wrong with it; `nil` if nothing is.
    package static func problem(of command: [String]) -> (problem: String, remedy: String)? {
        guard let program = command.first else {
            return ("the command is empty", "Write the program and its arguments")
        }
        let candidates: [String]
        if program.contains("/") {
            candidates = [program]
        } else {
            let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
            candidates = path.split(separator: ":").map { "\($0)/\(program)" }
        }
        let there = candidates.filter { access($0, F_OK) == 0 }
        if there.contains(where: mayRun) { return nil }
        guard let first = there.first else {
            return ("the command \(program) does not exist", "Correct it, or install the program")
        }
        return ("the command \(first) is not executable", "chmod +x \(ShellText.quote(first))")
    }

    private static func mayRun(_ path: String) -> Bool {
        var facts = stat()
        return stat(path, &facts) == 0 && facts.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
    }
}
