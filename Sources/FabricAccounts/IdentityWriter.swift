import JSONBytes
import Settings

/// An account to be written.
public struct IdentityBinding: Sendable, Equatable {
    public var agentId: String
    public var apiKey: Secret
    /// As Center answered the login that proved the key.
    public var userId: String?
    public var email: String?

    public init(agentId: String, apiKey: Secret, userId: String? = nil, email: String? = nil) {
        self.agentId = agentId
        self.apiKey = apiKey
        self.userId = userId
        self.email = email
    }
}

/// Changes an identity file: whole or not at all, one writer at a time, readable by its owner alone.
///
/// Both shapes are read, the first is written; fields that are unknown here stay. What is not JSON is never
/// overwritten.
public struct IdentityWriter: Sendable {
    /// What a change did.
    public enum Outcome: Sendable, Equatable { case added, replaced, removed, unchanged }

    /// The steps of a change in their order, so that a test can let the process die at each.
    enum Step: CaseIterable { case locked, read, created, written, synced, renamed }

    public let path: String
    private let passing: @Sendable (Step) throws(SettingsError) -> Void

    public init(path: String) {
        self.path = path
        passing = { _ throws(SettingsError) in }
    }

    init(path: String, passing: @escaping @Sendable (Step) throws(SettingsError) -> Void) {
        self.path = path
        self.passing = passing
    }

    /// Writes an account, in the place of one of the same agent id if there is one.
    /// - Throws: ``SettingsError``; nothing was changed then.
    public func bind(_ binding: IdentityBinding) throws(SettingsError) -> Outcome {
        if let problem = AccountName.problem(binding.agentId) {
            throw SettingsError(
                file: path, keyPath: "", problem: problem, remedy: "Give the agent id that Fabric knows")
        }
        return try change { entries in
            var fields: [(String, JSONValue?)] = [
                ("agentId", .string(binding.agentId)), ("fabricApiKey", .string(binding.apiKey.reveal())),
                ("fabricUserId", binding.userId.map { .string($0) }),
                ("fabricEmail", binding.email.map { .string($0) }),
            ]
            let isOwn: (OrderedObject) -> Bool = { $0["agentId"] == .string(binding.agentId) }
            if let index = entries.firstIndex(where: isOwn) {
                // What belongs to the old key must not stand beside the new one; what others keep there stays.
                for (name, value) in fields { entries[index].set(name, value) }
                let kept = entries[index]
                entries.removeAll(where: isOwn)
                entries.insert(kept, at: min(index, entries.count))
                return .replaced
            }
            fields.removeAll { $0.1 == nil }
            var entry = OrderedObject()
            for (name, value) in fields { entry.set(name, value) }
            entries.append(entry)
            return .added
        }
    }

    /// Removes an account; `.unchanged` if it is not there.
    /// - Throws: ``SettingsError``; nothing was changed then.
    public func unbind(_ agentId: String) throws(SettingsError) -> Outcome {
        try change { entries in
            let before = entries.count
            entries.removeAll { $0["agentId"] == .string(agentId) }
            return entries.count == before ? .unchanged : .removed
        }
    }

    private func change(_ body: (inout [OrderedObject]) -> Outcome) throws(SettingsError) -> Outcome {
        // Through a symbolic link the file itself is replaced, not the link.
        let target = FileText.realPath(path)
        let lock = try AtomicFile.lock(target + ".lock")
        defer { lock.release() }
        try passing(.locked)
        var (top, entries) = try read(target)
        try passing(.read)
        let outcome = body(&entries)
        guard outcome != .unchanged else { return outcome }
        top.set("agents", nil)
        top.set("entries", nil)
        var document = PrettyWriter()
        document.object(top, list: "entries", entries)
        try AtomicFile.replace(target, with: document.bytes) { stage throws(SettingsError) in
            switch stage {
            case .created: try passing(.created)
            case .written: try passing(.written)
            case .synced: try passing(.synced)
            case .renamed: try passing(.renamed)
            }
        }
        return outcome
    }

    /// The fields of the file that are not accounts, and the accounts in the first shape.
    private func read(_ target: String) throws(SettingsError) -> (OrderedObject, [OrderedObject]) {
        let findings = SettingsFindings()
        switch FileText.read(target, limit: SettingsDocument.largestFile) {
        case .failure(let error) where error.isAbsent: return (OrderedObject(), [])
        case .failure(let error):
            throw SettingsError(file: path, keyPath: "", problem: error.problem, remedy: error.remedy)
        case .success(let text):
            // An empty file is what `touch` leaves.
            if text.allSatisfy({ $0 <= 0x20 }) { return (OrderedObject(), []) }
            let node = SettingsDocument.parse(text, file: path, findings: findings)
            if let first = findings.errors.first { throw first }
            guard let members = node?.members else {
                throw SettingsError(
                    file: path, keyPath: "", problem: "this is no identity file", remedy: "Name another, or remove it")
            }
            var entries: [OrderedObject] = []
            for element in node?["entries"]?.elements ?? [] { entries.append(OrderedObject(element.members ?? [])) }
            for member in node?["agents"]?.members ?? [] {
                entries.append(Self.firstShape(member.name, OrderedObject(member.node.members ?? [])))
            }
            return (OrderedObject(members), entries)
        }
    }

    private static func firstShape(_ agentId: String, _ old: OrderedObject) -> OrderedObject {
        let names = [
            "fabric_api_key": "fabricApiKey", "fabric_user_id": "fabricUserId", "fabric_email": "fabricEmail",
        ]
        var entry = OrderedObject()
        entry.set("agentId", .string(agentId))
        for (name, value) in old.fields { entry.set(names[name] ?? name, value) }
        return entry
    }
}

/// An object that keeps the order of its fields.
struct OrderedObject: Equatable {
    private(set) var fields: [(name: String, value: JSONValue)] = []

    init() {}
    init(_ members: [SettingsNode.Member]) { fields = members.map { ($0.name, $0.node.json) } }

    subscript(_ name: String) -> JSONValue? { fields.first { $0.name == name }?.value }

    /// Sets a field where it stands, or at the end; nil removes it.
    mutating func set(_ name: String, _ value: JSONValue?) {
        let index = fields.firstIndex { $0.name == name }
        switch (index, value) {
        case (let index?, let value?): fields[index].value = value
        case (let index?, nil): fields.remove(at: index)
        case (nil, let value?): fields.append((name, value))
        case (nil, nil): break
        }
    }

    static func == (left: OrderedObject, right: OrderedObject) -> Bool {
        left.fields.elementsEqual(right.fields) { $0.name == $1.name && $0.value == $1.value }
    }
}

/// A file people look at: one field per line.
struct PrettyWriter {
    private(set) var bytes: [UInt8] = []

    mutating func object(_ top: OrderedObject, list: String, _ entries: [OrderedObject]) {
        text("{\n")
        for (name, value) in top.fields { field(name, value, indent: "  ", isLast: false) }
        text("  \"\(list)\": [")
        for (number, entry) in entries.enumerated() {
            text(number == 0 ? "\n    {\n" : ",\n    {\n")
            for (place, (name, value)) in entry.fields.enumerated() {
                field(name, value, indent: "      ", isLast: place == entry.fields.count - 1)
            }
            text("    }")
        }
        text(entries.isEmpty ? "]\n}\n" : "\n  ]\n}\n")
    }

    private mutating func field(_ name: String, _ value: JSONValue, indent: String, isLast: Bool) {
        text(indent)
        bytes.append(contentsOf: JSONValue.string(name).serialized)
        text(": ")
        bytes.append(contentsOf: value.serialized)
        text(isLast ? "\n" : ",\n")
    }

    private mutating func text(_ text: String) { bytes.append(contentsOf: text.utf8) }
}

extension IdentityWriter {
    /// Writes a file that does not exist yet, owner only; whole or not at all.
    /// - Throws: ``SettingsError`` if it exists or cannot be written.
    public static func create(_ path: String, _ bytes: [UInt8]) throws(SettingsError) {
        try AtomicFile.create(path, with: bytes)
    }
}
