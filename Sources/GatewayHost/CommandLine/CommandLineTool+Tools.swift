import Dispatch
import GatewayControl
import Glibc
import JSONBytes

extension CommandLineTool {
    /// How a turn's command finds its gateway and shows what it may do.
    public enum Inherited {
        /// The capability of the turn.
        public static let capability = "GATEWAY_CAPABILITY"
        /// The state directory of the gateway that gave it out.
        public static let stateDirectory = "GATEWAY_STATE_DIRECTORY"

        static func value(_ name: String) -> String? {
            getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
        }
    }

    /// Lists tools: for people, or as the module describes them.
    /// - Parameters:
    ///   - account: what this account has; what the module has for any if `nil` and no turn says otherwise.
    ///   - channel: the plugin, where there are several.
    public func tools(account: String?, channel: String?, json: Bool) -> Int32 {
        ask(.object(toolRequest("tools", account, channel)), inherited: true) { answer in
            let tools = answer["tools"]?.array ?? []
            guard !json else {
                print(answer.line + "\n")
                return 0
            }
            for tool in tools { print(Self.text(of: tool)) }
            if tools.isEmpty { print("there are no tools\n") }
            return 0
        }
    }

    /// Calls a tool and prints its result as one line of JSON. SIGINT and SIGTERM give it up.
    /// - Parameters:
    ///   - arguments: one JSON object.
    ///   - seconds: how long it may take.
    /// - Returns: 0 done, 1 it failed, 2 the call is wrong (tool or arguments), 3 no gateway runs here, 130 given up.
    public func callTool(
        _ name: String, account: String?, channel: String?, arguments: String, seconds: Double
    ) -> Int32 {
        let tree: JSONValue
        do {
            tree = try JSONValue(parsing: arguments)
        } catch {
            complain("gateway: --json is not JSON (\(error)). Write one object, as in --json '{\"name\":\"value\"}'.\n")
            return 2
        }
        guard tree.object != nil else {
            complain("gateway: --json must be one object, as in --json '{\"name\":\"value\"}'.\n")
            return 2
        }
        guard seconds > 0, seconds <= ToolRequest.longestTimeout / .seconds(1) else {
            complain("gateway: --timeout must be more than 0 and at most 600 seconds.\n")
            return 2
        }
        let id = String(UInt64.random(in: .min ... .max), radix: 36)
        var request = toolRequest("tool", account, channel)
        request["tool"] = .string(name)
        request["arguments"] = tree
        request["callId"] = .string(id)
        request["timeoutSeconds"] = .double(seconds)
        var cancel = toolRequest("tool.cancel", account, channel)
        cancel["callId"] = .string(id)
        let interruption = Interruption(cancel: .object(cancel), directory: try? stateDirectory(inherited: true))
        defer { interruption.end() }
        return ask(.object(request), within: .seconds(seconds + 20), inherited: true) { answer in
            if answer["ok"]?.bool == true {
                print((answer["result"] ?? .null).line + "\n")
                return 0
            }
            let error = answer["error"] ?? .null
            complain("gateway: \((error["message"]?.string ?? "the call failed").printable(lineBreak: "\n  "))\n")
            if let done = error["done"], done != .null { complain("gateway: what was done: \(done.line)\n") }
            switch error["code"]?.string {
            case "cancelled" where interruption.wasAsked: return 130
            case "unknown_tool", "invalid_argument": return 2
            default: return 1
            }
        }
    }

    private func toolRequest(_ command: String, _ account: String?, _ channel: String?) -> [String: JSONValue] {
        var request: [String: JSONValue] = ["command": .string(command)]
        if let account { request["account"] = .string(account) }
        if let channel { request["channel"] = .string(channel) }
        if let capability = Inherited.value(Inherited.capability) { request["capability"] = .string(capability) }
        return request
    }

    /// A tool for people: name and purpose, then each argument.
    private static func text(of tool: JSONValue) -> String {
        let required = Set(tool["inputSchema"]?["required"]?.texts ?? [])
        var text = "\(tool["name"]?.string ?? "")\(tool["readOnly"]?.bool == true ? " (reads only)" : "")\n"
        text += "  \(tool["description"]?.string ?? "")\n"
        for (name, schema) in (tool["inputSchema"]?["properties"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
            let kind = schema["type"]?.string.map { " \($0)" } ?? ""
            let words = schema["enum"]?.texts.joined(separator: " | ") ?? ""
            text += "    \(name)\(required.contains(name) ? "" : "?")\(kind)\(words.isEmpty ? "" : " \(words)")"
            text += schema["description"]?.string.map { ": \($0)\n" } ?? "\n"
        }
        return text.printable(lineBreak: "\n")
    }

    /// Ends a call when the process is told to end: the gateway is asked to give it up, and answers the call.
    private final class Interruption {
        private let asked = Once<Void>()
        private let sources: [any DispatchSourceSignal]

        init(cancel: JSONValue, directory: String?) {
            let asked = asked
            sources = [SIGINT, SIGTERM].map { number in
                signal(number, SIG_IGN)
                let source = DispatchSource.makeSignalSource(signal: number)
                source.setEventHandler {
                    guard asked.decide(()), let directory else { _exit(130) }
                    // An answer, or none: the call itself says how it ended. Who asks twice does not want to wait.
                    _ = try? ControlClient.ask(cancel, stateDirectory: directory, within: CommandLineTool.patience)
                }
                source.resume()
                return source
            }
        }

        var wasAsked: Bool { asked.decided != nil }

        func end() { for source in sources { source.cancel() } }
    }
}
