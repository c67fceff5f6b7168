import GatewayControl
import Glibc
import JSONBytes

/// What the `gateway` executable does, so that the executable itself has no logic. Each command prints and returns its
/// exit code: 0 well, 1 something is wrong, 2 the configuration cannot be read, 3 no gateway runs here.
public struct CommandLineTool: Sendable {
    private let configuration: String
    /// Standard output, for programs.
    let output: @Sendable (String) -> Void
    /// Standard output, for people.
    let print: @Sendable (String) -> Void
    let complain: @Sendable (String) -> Void
    /// How long a gateway that is well may take for an answer that needs no work.
    public static let patience = Duration.seconds(10)

    /// - Parameter configuration: the file's path; it tells the state directory, where the gateway listens.
    public init(
        configuration: String, print: @escaping @Sendable (String) -> Void = { Swift.print($0, terminator: "") },
        complain: @escaping @Sendable (String) -> Void = Self.standardError
    ) {
        let names = CommandNames.ofThisProcess.with(configuration: configuration)
        self.configuration = configuration
        output = print
        // For people alone: what programs read keeps the commands as they stand.
        self.print = { print(names.spell($0)) }
        self.complain = { complain(names.spell($0)) }
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
                    "gateway: there is no account “\(account)”; `gateway status` lists all\n".printable(lineBreak: "\n")
                )
                return 1
            }
            let report = StatusReport(status)
            if json {
                output(status.line + "\n")
            } else {
                print(report.text + (recent ? TurnsReport(status).text : ""))
            }
            return report.isWell ? 0 : 1
        }
    }

    /// Reloads settings, or modules, and says what that changed.
    public func reload(module: Bool, json: Bool = false) -> Int32 {
        ask(["command": "reload", "module": .bool(module)], within: .seconds(300)) { result in
            if json { output(result.line + "\n") } else { print(ReloadReport(result).text) }
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
            output(result.line + "\n")
            return 0
        }
    }

    /// Has an account tried again that is blocked, refused or given up.
    public func unblock(account: String) -> Int32 {
        ask(["command": "unblock", "account": .string(account)]) { _ in
            print("\(account) is tried again; see `gateway status`\n")
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

    /// Lists the channels an account is in.
    public func channels(account: String, json: Bool = false) -> Int32 {
        module("channels.list", ["accountId": .string(account)], json: json) { ChannelsReport($0).text }
    }

    /// Lists what could never be sent or answered.
    /// - Parameter account: only those of this account; all if `nil`.
    public func deadLetters(account: String? = nil, json: Bool = false) -> Int32 {
        module("deadLetters.list", account.map { ["accountId": .string($0)] } ?? [:], json: json) {
            DeadLettersReport($0).text
        }
    }

    /// Sends one again.
    public func resubmitDeadLetter(_ id: String) -> Int32 {
        module("deadLetters.resubmit", ["id": .string(id)]) { _ in "it is sent again; see `gateway status`\n" }
    }

    /// Forgets one, or all.
    /// - Parameters:
    ///   - id: all if `nil`.
    ///   - account: with all, only those of this account.
    public func dropDeadLetters(_ id: String?, account: String? = nil) -> Int32 {
        var arguments: [String: JSONValue] = id.map { ["id": .string($0)] } ?? ["all": true]
        if let account { arguments["accountId"] = .string(account) }
        return module("deadLetters.drop", arguments) { result in
            let count = result["dropped"]?.int ?? 1
            return count == 0 ? "there were none\n" : "dropped \(count)\n"
        }
    }

    /// A command of the module's own.
    private func module(
        _ command: String, _ arguments: [String: JSONValue], json: Bool = false, _ words: (JSONValue) -> String
    ) -> Int32 {
        let request: JSONValue = [
            "command": "module", "name": .string(command), "arguments": .object(arguments),
        ]
        return ask(request, within: .seconds(60)) { result in
            if json { output(result.line + "\n") } else { print(words(result)) }
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

    /// Where the gateway listens.
    /// - Parameter inherited: as the turn says that this runs in, if it runs in one.
    func stateDirectory(inherited: Bool = false) throws(GatewayError) -> String {
        if inherited, let directory = Inherited.value(Inherited.stateDirectory) { return directory }
        return try GatewayConfiguration.stateDirectory(file: Files.resolve(configuration, in: Files.workingDirectory()))
    }

    func ask(
        _ request: JSONValue, within limit: Duration = patience, inherited: Bool = false, _ use: (JSONValue) -> Int32
    ) -> Int32 {
        let directory: String
        do {
            directory = try stateDirectory(inherited: inherited)
        } catch {
            complain("gateway: \("\(error)".printable(lineBreak: "\n  "))\n")
            return 2
        }
        do {
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
