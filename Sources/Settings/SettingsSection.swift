/// Typed reading of one object. Whatever is wrong goes to the findings, and the value reads as absent; `null` counts as
/// absent. Call ``finish()`` at the end: it reports the keys that nobody asked for.
public final class SettingsSection {
    public let node: SettingsNode
    public let findings: SettingsFindings
    private var known: [String] = []

    /// A section over `node`; something that is no object is a finding, and reads as empty.
    public init(_ node: SettingsNode, findings: SettingsFindings) {
        self.node = node
        self.findings = findings
        if node.members == nil {
            findings.add(node, "this is \(node.value.kind), an object is wanted", remedy: "Write { … } there")
        }
    }

    /// The value of a key, whatever it is; nil if it is absent or null.
    public func value(_ key: String) -> SettingsNode? {
        if !known.contains(key) { known.append(key) }
        guard let found = node[key], found.value != .null else { return nil }
        return found
    }

    /// Adds a finding that the key must be there but is not.
    public func require(_ key: String, remedy: String) {
        let missing = SettingsNode(.null, keyPath: SettingsNode.path(node.keyPath, key), place: node.place)
        findings.add(missing, "it is missing", remedy: remedy)
    }

    /// A string of at least one character.
    public func string(_ key: String) -> String? {
        guard let found = value(key) else { return nil }
        guard case .string(let text) = found.value else { return wrong(found, "a string") }
        guard text.contains(where: { !$0.isWhitespace }) else {
            findings.add(found, "it is empty", remedy: "Give it a value, or remove the key")
            return nil
        }
        return text
    }

    public func bool(_ key: String) -> Bool? {
        guard let found = value(key) else { return nil }
        guard case .bool(let value) = found.value else { return wrong(found, "true or false") }
        return value
    }

    /// A whole number in a range.
    public func int(_ key: String, in range: ClosedRange<Int>) -> Int? {
        guard let found = value(key) else { return nil }
        guard case .int(let number) = found.value else { return wrong(found, "a whole number") }
        guard let value = Int(exactly: number), range.contains(value) else {
            findings.add(
                found, "\(number) is out of range",
                remedy: "Give a number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return value
    }

    /// A number in a range.
    public func number(_ key: String, in range: ClosedRange<Double>) -> Double? {
        guard let found = value(key) else { return nil }
        let value: Double
        switch found.value {
        case .int(let number): value = Double(number)
        case .double(let number): value = number
        default: return wrong(found, "a number")
        }
        guard range.contains(value) else {
            findings.add(
                found, "\(value) is out of range",
                remedy: "Give a number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return value
    }

    /// One of a few words.
    public func choice<T: RawRepresentable & CaseIterable>(_ key: String, _ type: T.Type) -> T?
    where T.RawValue == String {
        guard let text = string(key) else { return nil }
        if let value = T(rawValue: text) { return value }
        let words = T.allCases.map(\.rawValue)
        let near = Nearest.word(to: text, among: words).map { "Did you mean \"\($0)\"? " } ?? ""
        if let found = value(key) {
            findings.add(
                found, "\"\(Secret.masked(text))\" is not known here",
                remedy: near + "Possible: " + words.map { "\"\($0)\"" }.joined(separator: ", "))
        }
        return nil
    }

    /// A section within the section.
    public func section(_ key: String) -> SettingsSection? {
        value(key).map { SettingsSection($0, findings: findings) }
    }

    /// A list of strings.
    public func strings(_ key: String) -> [String]? {
        guard let elements = elements(key) else { return nil }
        return elements.compactMap { element in
            guard case .string(let text) = element.value else { return wrong(element, "a string") }
            return text
        }
    }

    /// The elements of a list.
    public func elements(_ key: String) -> [SettingsNode]? {
        guard let found = value(key) else { return nil }
        guard let elements = found.elements else { return wrong(found, "a list") }
        return elements
    }

    /// The members of an object whose keys are free, in the order of the text.
    public func members(_ key: String) -> [SettingsNode.Member]? {
        guard let found = value(key) else { return nil }
        guard let members = found.members else { return wrong(found, "an object") }
        return members
    }

    /// An absolute address with one of the given schemes and a host.
    public func url(_ key: String, schemes: [String] = ["http", "https"]) -> String? {
        guard let text = string(key), let found = value(key) else { return nil }
        if let fault = Self.addressFault(text, schemes: schemes) {
            findings.add(found, fault.problem, remedy: fault.remedy)
            return nil
        }
        return text
    }

    /// Why a text is no absolute address with one of the given schemes and a host, and how to write it; nil if it is one.
    public static func addressFault(
        _ text: String, schemes: [String] = ["http", "https"]
    ) -> (problem: String, remedy: String)? {
        let scheme = schemes.first ?? "http"
        let parts = text.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        let isPlain = !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        let isGood =
            parts.count >= 3 && schemes.contains(parts[0].dropLast().lowercased()) && parts[0].hasSuffix(":")
            && parts[1].isEmpty && !parts[2].isEmpty && !parts[2].contains("@") && isPlain
        if isGood { return nil }
        // `localhost:7001/api`, or `//localhost:7001/api`.
        let bare = text.drop { $0 == "/" }
        let hasScheme = schemes.contains { text.lowercased().hasPrefix($0 + ":") }
        if isPlain, !hasScheme, !text.contains("://"), !text.contains("@"),
            bare.first?.isLetter == true || bare.first?.isNumber == true
        {
            return ("the address has no scheme", "Write \(scheme)://\(Secret.masked(String(bare)))")
        }
        return (
            "this is no usable address", "Write it as \(scheme)://host:port/path, without user name and password"
        )
    }

    /// Declares keys as known that others read.
    public func ignore(_ keys: String...) {
        for key in keys where !known.contains(key) { known.append(key) }
    }

    /// Reports every key that nobody asked for, with the nearest that is known.
    public func finish() {
        for member in node.members ?? [] where !known.contains(member.name) {
            let remedy =
                Nearest.word(to: member.name, among: known).map { "Did you mean \"\($0)\"?" }
                ?? "Known here: " + known.sorted().joined(separator: ", ")
            findings.add(member.node, "this key is not known", remedy: remedy)
        }
    }

    private func wrong<T>(_ found: SettingsNode, _ wanted: String) -> T? {
        findings.add(found, "this is \(found.value.kind), \(wanted) is wanted", remedy: "Write \(wanted) there")
        return nil
    }
}
