import FabricTools
import Foundation
import Testing

@Suite struct ToolTableTests {
    private static let readme = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "README.md")
    private static let begin = "<!-- tools: Scripts/tools-table -->\n"
    private static let end = "\n<!-- end of tools -->"

    /// The manual's table is made from the tools; `Scripts/tools-table` writes it anew.
    @Test func theManualHasEveryTool() throws {
        let text = try String(contentsOf: Self.readme, encoding: .utf8)
        let start = try #require(text.range(of: Self.begin)).upperBound
        let stop = try #require(text.range(of: Self.end, range: start..<text.endIndex)).lowerBound
        if ProcessInfo.processInfo.environment["FABRIC_TOOLS_TABLE"] == "write" {
            let whole = text[..<start] + ToolTable.markdown + text[stop...]
            try Data(String(whole).utf8).write(to: Self.readme, options: .atomic)
            return
        }
        #expect(text[start..<stop] == ToolTable.markdown, "run Scripts/tools-table")
        for tool in Tool.all { #expect(text[start..<stop].contains("| `\(tool.name)` |")) }
    }
}
