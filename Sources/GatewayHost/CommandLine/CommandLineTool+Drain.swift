import GatewayControl
import JSONBytes

extension CommandLineTool {
    /// The longest that handing over is waited for.
    static let longestDrain = Duration.seconds(24 * 3600)

    /// Hands all accounts over to the other gateways that share them, and waits for it. The gateway stays up.
    /// - Parameter seconds: how long it may take.
    /// - Returns: 0 when nothing is left; 1 when something is, or nobody can take it; 2 and 3 as everywhere.
    public func drain(within seconds: Double, json: Bool = false) -> Int32 {
        guard seconds > 0, seconds <= Self.longestDrain / .seconds(1) else {
            complain("gateway: --within must be more than 0 and at most 86400 seconds.\n")
            return 2
        }
        let request: JSONValue = ["command": "drain", "withinSeconds": .double(seconds)]
        return ask(request, within: .seconds(seconds + 20)) { answer in
            let isDone = answer["drained"]?.bool == true
            if json { output(answer.line + "\n") } else { print(Self.words(answer)) }
            return isDone ? 0 : 1
        }
    }

    /// Lets a gateway that was drained take accounts again.
    public func undrain(json: Bool = false) -> Int32 {
        ask(["command": "drain", "undo": true]) { answer in
            if json { output(answer.line + "\n") } else { print("it takes accounts again; see `gateway status`\n") }
            return 0
        }
    }

    private static func words(_ answer: JSONValue) -> String {
        let left = answer["left"]?.array ?? []
        guard !left.isEmpty else {
            return
                "every account runs on another gateway; this one stays up and takes none (`gateway drain --undo` ends that)\n"
        }
        // A few tell what it is like; --json has all of them.
        var lines = ["\(left.count) account\(left.count == 1 ? " is" : "s are") not on another gateway yet:"]
        for account in left.prefix(20) {
            lines.append("   \(account["account"]?.string ?? "?"): \(account["why"]?.string ?? "")")
        }
        if left.count > 20 { lines.append("   and \(left.count - 20) more") }
        lines.append("They go over when they can; `gateway drain` waits again, `gateway drain --undo` ends it")
        return lines.map { $0.printable(lineBreak: " ") + "\n" }.joined()
    }
}
