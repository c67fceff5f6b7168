import Foundation
import Testing

/// Documentation/Troubles.md: its rows, and what each says that a program prints.
struct TroublePage {
    struct Row {
        /// The first cell, as it stands there.
        var symptom: String
        /// What it quotes; `…` stands for what is another each time.
        var quotes: [[String]]
    }

    let rows: [Row]

    init() throws {
        let page = try String(contentsOfFile: "\(package)/Documentation/Troubles.md", encoding: .utf8)
        rows = page.split(separator: "\n").filter { $0.hasPrefix("| ") && !$0.hasPrefix("| what you see") }.map {
            line in
            let cell = line.split(separator: "|")[0].trimmingCharacters(in: .whitespaces)
            let pieces = cell.split(separator: "`", omittingEmptySubsequences: false)
            let quotes = pieces.indices.filter { $0 % 2 == 1 && pieces[$0].contains(" ") }.map { index in
                pieces[index].split(separator: "…").filter { $0.contains(where: \.isLetter) }
                    .map { $0.trimmingCharacters(in: .whitespaces) }
            }
            return Row(symptom: cell, quotes: quotes)
        }
    }

    /// The row that begins so; it must be the only one.
    func row(_ start: String) throws -> Row {
        let found = rows.filter { $0.symptom.hasPrefix(start) }
        guard let only = found.first, found.count == 1 else {
            throw Failure("\(found.count) rows of the page begin with \(start)")
        }
        return only
    }

    /// Whether a text shows what the page quotes.
    /// - Parameter quote: which of the row's quotations; all if nil.
    func shows(_ start: String, _ text: String, quote: Int? = nil) throws -> Bool {
        let row = try row(start)
        let wanted = quote.map { [row.quotes[$0]] } ?? row.quotes
        return wanted.allSatisfy { parts in parts.allSatisfy { text.contains($0) } }
    }
}

/// What must be seen, and everything that was seen if it was not.
func trouble(
    _ start: String, in text: String, quote: Int? = nil, location: SourceLocation = #_sourceLocation
) throws {
    let isShown = try TroublePage().shows(start, text, quote: quote)
    #expect(isShown, "nothing shows “\(start)”: \(text)", sourceLocation: location)
}

/// What a running process must write, sooner or later.
func trouble(
    _ start: String, in process: RunningCommand, quote: Int? = nil, location: SourceLocation = #_sourceLocation
) async throws {
    let page = try TroublePage()
    _ = try page.row(start)
    let isShown = await process.shows { (try? page.shows(start, $0, quote: quote)) ?? false }
    #expect(isShown, "nothing shows “\(start)”: \(process.all)", sourceLocation: location)
}

/// What the running gateway must answer, sooner or later.
@discardableResult
func trouble(
    _ start: String, asking desk: Desk, _ arguments: [String] = ["status"], quote: Int? = nil
) async throws -> RunningCommand {
    let page = try TroublePage()
    return try await desk.again("“\(start)”", arguments) { try page.shows(start, $0.all, quote: quote) }
}
