import Glibc
import JSONBytes

/// Reading JSON with comments (`//` to the end of the line, `/* */`) into a tree that knows its places.
public enum SettingsDocument {
    /// A configuration file larger than this is a mistake.
    public static let largestFile = 16 * 1024 * 1024

    /// Parses `text`, adding a finding for every key that stands twice. Of such a key the first value counts.
    /// - Parameters:
    ///   - file: for messages.
    ///   - keyPath: where in the file the text stands; empty for a whole file.
    /// - Returns: nil if the text is no JSON, which is a finding too.
    public static func parse(
        _ text: [UInt8], file: String, keyPath: String = "", findings: SettingsFindings
    ) -> SettingsNode? {
        var plain = text
        if plain.starts(with: [0xEF, 0xBB, 0xBF]) { plain.replaceSubrange(0..<3, with: [0x20, 0x20, 0x20]) }
        if let open = blankComments(&plain) {
            let line = Lines(text).line(at: open)
            let problem = "a comment that begins with /* is never closed"
            findings.add(
                SettingsError(file: file, keyPath: keyPath, line: line, problem: problem, remedy: "Close it with */"))
            return nil
        }
        let lines = Lines(plain)
        return plain.withUnsafeBytes { bytes -> SettingsNode? in
            do throws(JSONSyntaxError) {
                try JSONBytes.validateWhole(bytes)
            } catch {
                let column = lines.column(at: error.offset)
                findings.add(
                    SettingsError(
                        file: file, keyPath: keyPath, line: lines.line(at: error.offset),
                        problem: "not JSON at column \(column): \(error.reason.rawValue)", remedy: remedy(error, plain))
                )
                return nil
            }
            let builder = Builder(start: bytes.baseAddress, file: file, lines: lines, findings: findings)
            return builder.node(JSONView(validated: bytes, start: 0, end: bytes.count), keyPath)
        }
    }

    /// Reads and parses a file; a file that cannot be read is a finding.
    public static func read(file: String, findings: SettingsFindings) -> SettingsNode? {
        switch FileText.read(file, limit: largestFile) {
        case .success(let text): return parse(text, file: file, findings: findings)
        case .failure(let error):
            findings.add(
                SettingsError(file: file, keyPath: "", problem: error.problem, remedy: error.remedy))
            return nil
        }
    }

    /// The text with spaces in the place of comments, each byte where it was; nil if a comment is never closed.
    static func withoutComments(_ text: [UInt8]) -> [UInt8]? {
        var plain = text
        if plain.starts(with: [0xEF, 0xBB, 0xBF]) { plain.replaceSubrange(0..<3, with: [0x20, 0x20, 0x20]) }
        return blankComments(&plain) == nil ? plain : nil
    }

    /// Writes spaces over comments, so that offsets stay. Returns the offset of a comment that is never closed.
    private static func blankComments(_ text: inout [UInt8]) -> Int? {
        var at = 0
        var isInString = false
        while at < text.count {
            let byte = text[at]
            if isInString {
                if byte == 0x5C { at += 1 } else if byte == 0x22 { isInString = false }
                at += 1
            } else if byte == 0x22 {
                isInString = true
                at += 1
            } else if byte == 0x2F, at + 1 < text.count, text[at + 1] == 0x2F {
                while at < text.count, text[at] != 0x0A {
                    text[at] = 0x20
                    at += 1
                }
            } else if byte == 0x2F, at + 1 < text.count, text[at + 1] == 0x2A {
                let start = at
                var end = at + 2
                while end + 1 < text.count, text[end] != 0x2A || text[end + 1] != 0x2F { end += 1 }
                guard end + 1 < text.count else { return start }
                for place in start...end + 1 where text[place] != 0x0A { text[place] = 0x20 }
                at = end + 2
            } else {
                at += 1
            }
        }
        return nil
    }

    private static func remedy(_ error: JSONSyntaxError, _ text: [UInt8]) -> String {
        let before = text.prefix(max(0, error.offset)).last { $0 > 0x20 }
        let here = error.offset < text.count ? text[error.offset] : 0
        switch error.reason {
        case .expectedKey where before == 0x2C, .expectedValue where before == 0x2C && (here == 0x5D || here == 0x7D):
            return "Remove the comma before it, or put keys in double quotes"
        case .expectedCommaOrEnd: return "Put a comma between the values"
        case .unexpectedEnd: return "Close every bracket and quote"
        case .controlCharacter: return "Write a line break in a string as \\n and a tab as \\t"
        case .expectedKey, .expectedValue, .invalidLiteral:
            return "Put names and texts in double quotes; JSON knows no others"
        default: return "Correct the text there"
        }
    }

    /// Where lines begin.
    private struct Lines {
        private var starts: [Int] = [0]

        init(_ text: [UInt8]) {
            for (offset, byte) in text.enumerated() where byte == 0x0A { starts.append(offset + 1) }
        }

        func line(at offset: Int) -> Int {
            var low = 0
            var high = starts.count
            while high - low > 1 {
                let middle = (low + high) / 2
                if starts[middle] <= offset { low = middle } else { high = middle }
            }
            return low + 1
        }

        func column(at offset: Int) -> Int { offset - starts[line(at: offset) - 1] + 1 }
    }

    private struct Builder {
        let start: UnsafeRawPointer?
        let file: String
        let lines: Lines
        let findings: SettingsFindings

        // The depth is bounded: the text was validated with a cap on nesting.
        func node(_ view: JSONView, _ keyPath: String) -> SettingsNode {
            var line: Int?
            if let start, let here = view.rawBytes.baseAddress, !file.isEmpty { line = lines.line(at: here - start) }
            let place = SettingsNode.Place(file: file, line: line)
            return SettingsNode(value(view, keyPath, place), keyPath: keyPath, place: place)
        }

        private func value(_ view: JSONView, _ keyPath: String, _ place: SettingsNode.Place) -> SettingsNode.Value {
            switch view.kind {
            case .array:
                var elements: [SettingsNode] = []
                view.forEachElement { element in
                    elements.append(node(element, "\(keyPath)[\(elements.count)]"))
                    return true
                }
                return .array(elements)
            case .object: return .object(members(view, keyPath))
            default: break
            }
            switch JSONValue(view) {
            case .bool(let value): return .bool(value)
            case .int(let value): return .int(value)
            case .double(let value): return .double(value)
            case .string(let value): return .string(value)
            default: return .null
            }
        }

        private func members(_ view: JSONView, _ keyPath: String) -> [SettingsNode.Member] {
            var members: [SettingsNode.Member] = []
            var firsts: [String: SettingsNode.Place] = [:]
            view.forEachMember { key, value in
                let name = key.string ?? ""
                let node = node(value, SettingsNode.path(keyPath, name))
                if let first = firsts[name] {
                    let other = first.line.map { "; the first is in line \($0)" } ?? ""
                    findings.add(node, "the key stands twice\(other)", remedy: "Keep one of them")
                } else {
                    firsts[name] = node.place
                    members.append(SettingsNode.Member(name: name, node: node))
                }
                return true
            }
            return members
        }
    }
}
