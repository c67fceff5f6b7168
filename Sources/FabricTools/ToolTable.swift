/// The tools as a table for the manual.
public enum ToolTable {
    /// GitHub's Markdown: tool, arguments, what it does.
    public static var markdown: String {
        var lines = ["| tool | arguments | what it does |", "|---|---|---|"]
        for tool in Tool.all {
            let arguments = tool.parameters.map { "`\($0.name)`" + ($0.isRequired ? "" : "?") }
            let effect =
                switch tool.effect {
                case .reads: " (reads only)"
                case .adds, .removes: ""
                }
            lines.append(
                "| `\(tool.name)` | \(arguments.isEmpty ? "-" : arguments.joined(separator: ", ")) "
                    + "| \(tool.purpose) Answers \(tool.answer)\(effect) |")
        }
        return lines.joined(separator: "\n")
    }
}
