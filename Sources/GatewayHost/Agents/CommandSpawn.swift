import CGatewaySystem
import GatewayControl
import Glibc

/// The three pipes of a command. −1 stands for a closed end.
struct CommandPipes {
    /// Where the descriptors come from and go to.
    var reserve = DescriptorReserve()
    var input: Int32 = -1
    var output: Int32 = -1
    var errors: Int32 = -1
    var childInput: Int32 = -1
    var childOutput: Int32 = -1
    var childErrors: Int32 = -1

    /// Makes them; our ends do not block.
    mutating func open() throws(POSIXFailure) {
        (childInput, input) = try make()
        (output, childOutput) = try make()
        (errors, childErrors) = try make()
        for end in [input, output, errors] {
            guard fcntl(end, F_SETFL, O_NONBLOCK) == 0 else { throw POSIXFailure(operation: "preparing a pipe") }
        }
    }

    private func make() throws(POSIXFailure) -> (read: Int32, write: Int32) {
        try reserve.making(2) { () throws(POSIXFailure) in
            var ends: [Int32] = [-1, -1]
            guard gateway_pipe(&ends) == 0 else { throw POSIXFailure(operation: "making a pipe") }
            return (ends[0], ends[1])
        }
    }

    /// Reads what is there. Closes the end at its end of file.
    /// - Parameter once: read one chunk only, so that a flood cannot keep the thread.
    /// - Returns: `false` if `bytes` would grow beyond `limit`.
    mutating func take(
        _ end: WritableKeyPath<Self, Int32>, into bytes: inout [UInt8], limit: Int, once: Bool = false
    ) -> Bool {
        guard self[keyPath: end] >= 0 else { return true }
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let descriptor = self[keyPath: end]
            let count = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN { return true }
            guard count > 0 else {
                close(end)
                return true
            }
            guard count <= limit - bytes.count else { return false }
            bytes.append(contentsOf: chunk[..<count])
            if once { return true }
        }
    }

    mutating func close(_ end: WritableKeyPath<Self, Int32>) {
        if self[keyPath: end] >= 0 { reserve.giveBack(self[keyPath: end]) }
        self[keyPath: end] = -1
    }

    mutating func closeChildEnds() {
        for end in [\CommandPipes.childInput, \.childOutput, \.childErrors] { close(end) }
    }

    mutating func closeAll() {
        closeChildEnds()
        for end in [\CommandPipes.input, \.output, \.errors] { close(end) }
    }
}

/// `posix_spawn` as an agent's command needs it: a process group of its own, default signals, no descriptor but the
/// three pipes, and an environment without the channel's secrets.
enum CommandSpawn {
    static func start(
        _ command: [String], pipes: CommandPipes, hiding hidden: Set<String>, adding added: [String: String],
        directory: String? = nil
    ) throws(POSIXFailure) -> pid_t {
        guard let program = command.first else {
            throw POSIXFailure(operation: "starting an empty command", code: EINVAL)
        }
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
        if let directory { gateway_spawn_directory(&actions, directory) }

        var all = sigset_t()
        var none = sigset_t()
        sigfillset(&all)
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var pid: pid_t = 0
        let code = withCStrings(command) { arguments in
            withCStrings(environment(without: hidden.union(added.keys)) + added.map { "\($0)=\($1)" }) { environment in
                posix_spawnp(&pid, program, &actions, &attributes, arguments, environment)
            }
        }
        guard code == 0 else { throw POSIXFailure(operation: "starting \(program)", code: code) }
        return pid
    }

    private static func environment(without hidden: Set<String>) -> [String] {
        var variables: [String] = []
        var entry = environ
        while let text = entry.pointee {
            let variable = String(cString: text)
            if !hidden.contains(String(variable.prefix { $0 != "=" })) { variables.append(variable) }
            entry += 1
        }
        return variables
    }

    /// Lends a NULL-terminated array of C strings.
    private static func withCStrings<R>(
        _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> R
    ) -> R {
        let copies = strings.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        var pointers = copies + [nil]
        return pointers.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else {
                var empty: UnsafeMutablePointer<CChar>?
                return body(&empty)
            }
            return body(base)
        }
    }
}
