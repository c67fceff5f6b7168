import GatewayControl
import JSONBytes

/// What a reload did, in words.
struct ReloadReport: Sendable {
    let text: String

    init(_ result: JSONValue) {
        var lines: [String] = []
        for (id, version) in (result["modules"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
            lines.append("\(id): version \(version.string ?? "?") was loaded and runs")
        }
        if result["modules"] == nil {
            lines += Self.line(
                "accounts", result,
                [
                    "added": "added", "changed": "restarted with new settings", "adopted": "took up new settings",
                    "removed": "removed",
                ])
            if let keys = result["settings"]?.texts, !keys.isEmpty {
                lines.append("settings taken up: \(Self.some(keys))")
            }
            for kind in ["plugins", "agents", "bindings"] {
                lines += Self.line(
                    kind, result[kind] ?? [:], ["added": "added", "changed": "changed", "removed": "removed"])
            }
            if let count = result["maximumCommands"]?.int { lines.append("maximumCommands: \(count) from now on") }
            if lines.isEmpty { lines.append("nothing changed") }
        }
        for warning in result["warnings"]?.texts ?? [] { lines.append("WARNING  \(warning)") }
        text = lines.map { $0.printable(lineBreak: " ") + "\n" }.joined()
    }

    private static func line(_ kind: String, _ lists: JSONValue, _ words: [String: String]) -> [String] {
        let parts = ["added", "changed", "adopted", "removed"].compactMap { key -> String? in
            guard let word = words[key], let names = lists[key]?.texts, !names.isEmpty else { return nil }
            return "\(word): \(Self.some(names))"
        }
        return parts.isEmpty ? [] : ["\(kind) \(parts.joined(separator: "; "))"]
    }

    /// All of a few, the first of many.
    private static func some(_ names: [String]) -> String {
        let shown = names.prefix(10).joined(separator: ", ")
        return names.count > 10 ? "\(shown) and \(names.count - 10) more" : shown
    }
}
