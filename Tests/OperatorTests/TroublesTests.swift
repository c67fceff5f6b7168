import Foundation
import Testing

/// Documentation/Troubles.md is found by what a program prints, so that must be what it prints.
@Suite struct TroublesTests {
    @Test func everySymptomIsOneTheProgramsShow() throws {
        let said = try Self.said()
        let page = try String(contentsOfFile: "\(package)/Documentation/Troubles.md", encoding: .utf8)
        var symptoms = 0
        for row in page.split(separator: "\n") where row.hasPrefix("| ") && !row.hasPrefix("| what you see") {
            let cell = row.split(separator: "|")[0]
            // Between backticks, with … where something else stands each time.
            for (number, quoted) in cell.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            where number % 2 == 1 && quoted.contains(" ") {
                symptoms += 1
                for part in quoted.split(separator: "…") where part.contains(where: \.isLetter) {
                    let words = part.trimmingCharacters(in: .whitespaces)
                    // Apart, so that a failure does not show all sources.
                    let isSaid = said.contains(words)
                    #expect(isSaid, "no program says “\(words)”")
                }
            }
        }
        #expect(symptoms > 40)
    }

    /// The programs' sources without comments; texts that are written in pieces are joined.
    private static func said() throws -> String {
        let root = URL(fileURLWithPath: "\(package)/Sources")
        var said = ""
        for case let file as URL in FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil) ?? .init()
        where file.pathExtension == "swift" && !file.path.contains("/FabricSimulator/") {
            for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
                let line = line.trimmingCharacters(in: .whitespaces)
                if line.hasPrefix("//") { continue }
                if line.hasPrefix("+ \""), said.hasSuffix("\"\n") {
                    said.removeLast(2)
                    said += line.dropFirst(3) + "\n"
                } else if said.hasSuffix("\\\n") {
                    said.removeLast(2)
                    said += line + "\n"
                } else {
                    said += line + "\n"
                }
            }
        }
        return said
    }
}
