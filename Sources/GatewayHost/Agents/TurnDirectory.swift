import GatewayControl

/// The directories of turns, below the state directory: one each, private, for the files an agent's command makes.
struct TurnDirectories: Sendable {
    let path: String

    /// Removes what a gateway that was killed left behind.
    init(stateDirectory: String) throws(POSIXFailure) {
        path = stateDirectory + "/turns"
        Files.removeTree(path)
        try Files.makePrivateDirectory(path)
    }

    func make() throws(POSIXFailure) -> TurnDirectory {
        let name = String(UInt64.random(in: .min ... .max), radix: 36)
        try Files.makePrivateDirectory(path + "/" + name)
        return TurnDirectory(path: path + "/" + name)
    }

    /// For the end of the gateway, when no turn runs.
    func remove() { Files.removeTree(path) }
}

/// The directory of one turn. It lives as long as somebody may need its files: while the command runs, and until the
/// answer was taken over by the module, or is given up.
final class TurnDirectory: Sendable {
    let path: String

    fileprivate init(path: String) { self.path = path }

    deinit {
        // Whoever lets go of it may hold a lock.
        let path = path
        Task.detached { Files.removeTree(path) }
    }
}
