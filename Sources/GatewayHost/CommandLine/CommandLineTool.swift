import GatewayControl
import Glibc
import JSONBytes

/// What the `gateway` executable does, so that the executable itself has no logic. Each command prints and returns its
/// exit code: 0 well, 1 something is wrong, 3 no gateway runs here.
public struct CommandLineTool: Sendable {
    private let configuration: String
    private let print: @Sendable (String) -> Void
    private let complain: @Sendable (String) -> Void
    /// How long a gateway that is well may take for an answer that needs no work.
    public static let patience = Duration.seconds(10)

    /// - Parameter configuration: the file's path; it tells the state directory, where the gateway listens.
    public init(
        configuration: String, print: @escaping @Sendable (String) -> Void = { Swift.print($0, terminator: "") },
        complain: @escaping @Sendable (String) -> Void = Self.standardError
    ) {
        self.configuration = configuration
        self.print = print
        self.complain = complain
    }

    /// Writes text to standard error.
    public static let standardError: @Sendable (String) -> Void = { text in
        let bytes = Array(text.utf8)
        _ = bytes.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    }

    /// Shows the status.
    /// - Parameters:
    ///   - account: only this account; all if `nil`.
    ///   - recent: with the last turns.
    public func status(json: Bool, account: String? = nil, recent: Bool = false) -> Int32 {
        var request: [String: JSONValue] = ["command": "status", "recent": .bool(recent)]
        if let account { request["account"] = .string(account) }
        return ask(.object(request)) { status in
            if let account, status["accounts"]?.array?.isEmpty != false {
                complain(
                    "gateway: there is no account “\(account)”; gateway status lists all\n".printable(lineBreak: "\n"))
                return 1
            }
            let report = StatusReport(status)
            print(json ? status.line + "\n" : report.text + (recent ? TurnsReport(status).text : ""))
            return report.isWell ? 0 : 1
        }
    }

    /// Reloads settings, or modules, and says what that changed.
    public func reload(module: Bool, json: Bool = false) -> Int32 {
        ask(["command": "reload", "module": .bool(module)], within: .seconds(300)) { result in
            print(json ? result.line + "\n" : ReloadReport(result).text)
            return 0
        }
    }

    /// Sends a message; the files' paths are relative to the working directory of this process.
    public func send(account: String, to: String, text: String, media: [String], replyTo: String?) -> Int32 {
        var message: [String: JSONValue] = [
            "command": "send", "account": .string(account), "to": .string(to), "text": .string(text),
        ]
        if let replyTo { message["replyTo"] = .string(replyTo) }
        let directory = Files.workingDirectory()
        if !media.isEmpty {
            message["media"] = .array(
                media.map { path in
                    ["path": .string(Files.resolve(path, in: directory)), "name": .string(Files.name(of: path))]
                })
        }
        return ask(.object(message), within: .seconds(3600)) { result in
            print(result.line + "\n")
            return 0
        }
    }

    /// Has an account tried again that is blocked, refused or given up.
    public func unblock(account: String) -> Int32 {
        ask(["command": "unblock", "account": .string(account)]) { _ in
            print("\(account) is tried again; see gateway status\n")
            return 0
        }
    }

    /// Has every account tried again that is blocked, refused or given up.
    public func unblockAll() -> Int32 {
        ask(["command": "unblock", "all": true]) { result in
            let accounts = result["accounts"]?.texts ?? []
            print(accounts.isEmpty ? "no account was blocked\n" : "tried again: \(accounts.joined(separator: ", "))\n")
            return 0
        }
    }

    /// A command of the module's own.
    public func module(command: String, _ arguments: [String: String]) -> Int32 {
        ask(
            ["command": "module", "name": .string(command), "arguments": .object(arguments.mapValues { .string($0) })],
            within: .seconds(60)
        ) {
            print($0.line + "\n")
            return 0
        }
    }

    /// Stops the gateway and waits until its state directory is free.
    public func stop() -> Int32 {
        ask(["command": "stop"]) { result in
            guard let pid = result["pid"]?.int, let directory = try? stateDirectory() else { return 1 }
            // flock tells exactly when the other one is gone; it takes at most the drain and the module's closing.
            guard StateLock.waitUntilFree(directory: directory, within: .seconds(30)) else {
                complain("process \(pid) is still there after 30 s; look at its log\n")
                return 1
            }
            print("stopped process \(pid)\n")
            return 0
        }
    }

    private func stateDirectory() throws(GatewayError) -> String {
        try GatewayConfiguration.stateDirectory(file: Files.resolve(configuration, in: Files.workingDirectory()))
    }

    private func ask(
        _ request: JSONValue, within limit: Duration = patience, _ use: (JSONValue) -> Int32
    ) -> Int32 {
        do {
            let directory = try stateDirectory()
            // What may take long is asked only of a gateway that answers at all.
            if limit > Self.patience {
                _ = try ControlClient.ask(["command": "ping"], stateDirectory: directory, within: Self.patience)
            }
            return use(try ControlClient.ask(request, stateDirectory: directory, within: limit))
        } catch ControlClient.Failure.noGateway(let path) {
            complain("gateway: \(ControlClient.Failure.noGateway(path: path))\n")
            return 3
        } catch {
            complain("gateway: \("\(error)".printable(lineBreak: "\n  "))\n")
            return 1
        }
    }
}
