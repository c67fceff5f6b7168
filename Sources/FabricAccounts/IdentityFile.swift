import Settings

/// The file in which bound accounts stand, in either of its two shapes:
/// `{"entries":[{"agentId","fabricApiKey"}]}` and `{"agents":{"<id>":{"fabric_api_key","enabled"}}}`.
public struct IdentityFile: Sendable, Equatable {
    /// One account in it.
    public struct Entry: Sendable, Equatable {
        /// Empty if the entry has none, which is among its problems.
        public var agentId: String
        public var enabled = true
        public var apiKey: SecretSource?
        /// Fabric's id of the user, recorded when the account was bound.
        public var userId: String?
        public var email: String?
        public var keyPath: String
        /// What is wrong with this entry alone.
        public var problems: [SettingsError] = []
    }

    public var path: String
    public var exists = false
    /// In the order of the file. An agent may stand there twice; the decision judges that.
    public var entries: [Entry] = []
    /// What is wrong with the file as a whole.
    public var problems: [SettingsError] = []

    /// A file that does not exist.
    public init(path: String) { self.path = path }

    /// A file that cannot be used, with the accounts it had when it could: each is there, says why, and cannot start.
    public init(path: String, unusable fault: SettingsError, accounts: [String]) {
        self.init(path: path)
        exists = true
        problems = [fault]
        entries = accounts.map { Entry(agentId: $0, keyPath: "", problems: [fault]) }
    }

    /// Reads the file. It does not throw: what is wrong with it must not stop accounts that stand elsewhere.
    public static func read(_ path: String) -> IdentityFile {
        var result = IdentityFile(path: path)
        switch FileText.read(path, limit: SettingsDocument.largestFile) {
        case .failure(let error):
            result.exists = !error.isAbsent
            if result.exists {
                result.problems = [
                    SettingsError(file: path, keyPath: "", problem: error.problem, remedy: error.remedy)
                ]
            }
        case .success(let text):
            result.exists = true
            result.parse(text)
        }
        return result
    }

    /// The file at `path` as if it held `text`.
    public init(path: String, text: [UInt8]) {
        self.init(path: path)
        exists = true
        parse(text)
    }

    /// What is wrong with the file as a whole, if its accounts are to be relied on: a file that was named or was there before
    /// and is gone counts too, or all its accounts would look removed.
    /// - Parameters:
    ///   - isNamed: the configuration names it.
    ///   - wasThere: it was read before.
    public func faults(isNamed: Bool, wasThere: Bool) -> [SettingsError] {
        guard !exists, isNamed || wasThere else { return problems }
        let why = isNamed ? "the identity file does not exist" : "the identity file was there and is gone"
        return [
            SettingsError(
                file: path, keyPath: "", problem: why,
                remedy:
                    "Put it back, or bind an account (`setup bind`), which makes it; `setup unbind` removes accounts")
        ]
    }

    private mutating func parse(_ text: [UInt8]) {
        let findings = SettingsFindings()
        defer { problems = findings.errors }
        guard let node = SettingsDocument.parse(text, file: path, findings: findings) else { return }
        // Duplicate keys in the second shape are findings about the file: which of the two counts is anybody's guess.
        let section = SettingsSection(node, findings: findings)
        let directory = FileText.directory(of: path)
        for element in section.elements("entries") ?? [] {
            entries.append(Entry(first: element, directory: directory))
        }
        for member in section.members("agents") ?? [] {
            entries.append(Entry(second: member, directory: directory))
        }
        if section.value("entries") == nil, section.value("agents") == nil, !(node.members ?? []).isEmpty {
            findings.add(
                node, "neither \"entries\" nor \"agents\" stands in it",
                remedy: "Bind an account, or name the right file")
        }
    }
}

extension IdentityFile.Entry {
    /// Other tools keep fields of their own in these entries, so unknown ones are no mistakes.
    fileprivate init(first node: SettingsNode, directory: String) {
        let findings = SettingsFindings()
        let section = SettingsSection(node, findings: findings)
        keyPath = node.keyPath
        let name = section.string("agentId") ?? ""
        agentId = Secret.masked(name)
        if section.value("agentId") == nil, node.members != nil {
            section.require("agentId", remedy: "Add the agent's id, or remove the entry")
        }
        read(section, name, key: "fabricApiKey", user: "fabricUserId", email: "fabricEmail", directory, findings)
    }

    fileprivate init(second member: SettingsNode.Member, directory: String) {
        let findings = SettingsFindings()
        let section = SettingsSection(member.node, findings: findings)
        keyPath = member.node.keyPath
        agentId = Secret.masked(member.name)
        read(
            section, member.name, key: "fabric_api_key", user: "fabric_user_id", email: "fabric_email", directory,
            findings)
    }

    private mutating func read(
        _ section: SettingsSection, _ name: String, key: String, user: String, email: String, _ directory: String,
        _ findings: SettingsFindings
    ) {
        enabled = section.bool("enabled") ?? enabled
        if let value = section.value(key) {
            apiKey = SecretSource(value, directory: directory, findings: findings)
        } else if section.node.members != nil {
            section.require(key, remedy: "Bind the account again, or remove the entry")
        }
        // These two only inform: a strange value in them is no reason to refuse the account.
        userId = section.value(user)?.string
        self.email = section.value(email)?.string
        if !name.isEmpty, let problem = AccountName.problem(name) {
            findings.add(section.node, problem, remedy: "Bind the account again under its proper id")
        }
        problems = findings.errors
    }
}
