import JSONBytes
import Settings

/// The section `channels.fabric` of a gateway's configuration, read and checked.
public struct FabricConfiguration: Sendable, Equatable {
    /// What to do with caught-up messages that carry no wake flag.
    public enum Wake: String, Sendable, CaseIterable {
        /// Infer it from the delivery rules.
        case infer
        /// Record them only.
        case never
    }

    /// How much is read from history after a gap.
    public struct CatchUp: Sendable, Equatable {
        public var wake = Wake.infer
        /// At most so many messages per channel.
        public var maximumMessages = 500
        /// Nothing older than so many hours.
        public var maximumHours: Double = 24
        /// How long others may write in a channel that takes turns before the agent is woken by a caught-up message that may
        /// have made it its turn: up to twice that, in seconds; 0: never.
        public var turnPatienceSeconds: Double = 15
    }

    /// An account as it stands under `accounts`.
    public struct Account: Sendable, Equatable {
        public var accountId: String
        public var enabled = true
        /// Where its key is; nil if the entry names none, or a faulty one.
        public var apiKey: SecretSource?
        /// Where the entry stands.
        public var keyPath: String
        /// What is wrong with this entry alone. It does not concern the other accounts.
        public var problems: [SettingsError] = []
    }

    /// The file it was read from, for messages; empty if it came from elsewhere.
    public var file: String
    /// What relative paths are relative to.
    public var directory: String
    /// Where the section stands in the file.
    public var keyPath: String
    public var enabled = true
    /// Center's base URL with `/api`; nil if it is not set.
    public var centerApiBase: String?
    public var commandsSyncKey: SecretSource?
    /// Where bound accounts stand, absolute or relative to the working directory. `fabric-identity.json` beside the
    /// configuration unless it is set.
    public var identityFile: String
    /// Whether the configuration names it: then it must be there.
    public var namesIdentityFile = false
    /// Whether the text segments of one turn are joined into one message.
    public var coalesce = true
    /// The period, in seconds, in which the channel list is fetched and deafness is looked for.
    public var channelSyncSeconds: Double = 60
    /// The soft lifetime of a session in seconds.
    public var sessionSeconds: Double = 480
    /// How many of its accounts a gateway lets connect to one guild at once: a quarter of the connections that a server keeps
    /// which it has not accepted yet (511 is Node's default), so that three gateways and others find room.
    public var connectsAtOnce = 128
    /// How many logins a gateway starts in one second at most; 0: no bound.
    public var loginsPerSecond = 100
    public var catchUp = CatchUp()
    /// The largest attachment in megabytes (of 1,000,000 bytes).
    public var attachmentMegabytes: Double = 100
    /// Whether files on servers other than the guild's may come from private addresses.
    public var allowsPrivateAddresses = false
    /// How long a lane waits for a turn to finish, in seconds.
    public var turnTimeoutSeconds: Double = 1800
    /// How often a delivery is delivered again after its turn died with the process.
    public var redeliveries = 3
    /// How long nobody may speak in a sub-discussion before it is moved on, in seconds.
    public var guestPatienceSeconds: Double = 300
    /// Whether the guilds are told what the agents do.
    public var presence = true
    /// How many wake-ups by one agent are allowed in `agentTalkSeconds`; 0: no limit.
    public var agentTalkMessages = 20
    /// The time in which they are counted, and for which the agent does not wake ours afterwards, in seconds.
    public var agentTalkSeconds: Double = 60
    /// PEM file of the authorities to trust instead of the system's.
    public var certificateAuthorityFile: String?
    /// The database that gateways with the same accounts share; nil: what is kept is kept in the state directory.
    public var sharedStore: SharedStoreSettings?
    /// In the order of the file.
    public var accounts: [Account] = []

    /// A configuration that says nothing.
    public init(file: String = "", directory: String = ".", keyPath: String = "channels.fabric") {
        self.file = file
        self.directory = directory
        self.keyPath = keyPath
        identityFile = FileText.resolve("fabric-identity.json", in: directory)
    }

    /// Reads the section. What is wrong with one account stays with that account; all else goes to `findings`.
    /// - Parameter directory: what relative paths are relative to.
    public init(_ node: SettingsNode, directory: String, findings: SettingsFindings) {
        self.init(file: node.place.file, directory: directory, keyPath: node.keyPath)
        let section = SettingsSection(node, findings: findings)
        enabled = section.bool("enabled") ?? enabled
        centerApiBase = section.url("centerApiBase")
        commandsSyncKey = section.value("commandsSyncKey").flatMap {
            SecretSource($0, directory: directory, findings: findings)
        }
        if let path = section.string("identityFile") {
            identityFile = FileText.resolve(path, in: directory)
            namesIdentityFile = true
        }
        coalesce = section.bool("coalesce") ?? coalesce
        channelSyncSeconds = section.number("channelSyncSeconds", in: 0.1...86_400) ?? channelSyncSeconds
        // Zero and less mean the default, as everywhere sessions are configured.
        if let seconds = section.number("sessionSeconds", in: -1e9...86_400), seconds > 0 { sessionSeconds = seconds }
        connectsAtOnce = section.int("connectsAtOnce", in: 1...100_000) ?? connectsAtOnce
        loginsPerSecond = section.int("loginsPerSecond", in: 0...100_000) ?? loginsPerSecond
        if let inner = section.section("catchUp") {
            catchUp.wake = inner.choice("wake", Wake.self) ?? catchUp.wake
            catchUp.maximumMessages = inner.int("maximumMessages", in: 0...100_000) ?? catchUp.maximumMessages
            catchUp.maximumHours = inner.number("maximumHours", in: 0...87_600) ?? catchUp.maximumHours
            catchUp.turnPatienceSeconds =
                inner.number("turnPatienceSeconds", in: 0...3600) ?? catchUp.turnPatienceSeconds
            inner.finish()
        }
        if let inner = section.section("attachments") {
            attachmentMegabytes = inner.number("maximumMegabytes", in: 0...1_000_000) ?? attachmentMegabytes
            allowsPrivateAddresses = inner.bool("allowPrivateAddresses") ?? allowsPrivateAddresses
            inner.finish()
        }
        turnTimeoutSeconds = section.number("turnTimeoutSeconds", in: 0.1...604_800) ?? turnTimeoutSeconds
        redeliveries = section.int("redeliveries", in: 0...1000) ?? redeliveries
        guestPatienceSeconds = section.number("guestPatienceSeconds", in: 0.1...86_400) ?? guestPatienceSeconds
        presence = section.bool("presence") ?? presence
        if let inner = section.section("agentTalk") {
            agentTalkMessages = inner.int("messages", in: 0...100_000) ?? agentTalkMessages
            agentTalkSeconds = inner.number("seconds", in: 1...86_400) ?? agentTalkSeconds
            inner.finish()
        }
        certificateAuthorityFile = section.string("certificateAuthorityFile").map {
            FileText.resolve($0, in: directory)
        }
        if let inner = section.section("store") {
            sharedStore = SharedStoreSettings(inner, directory: directory, findings: findings)
            inner.finish()
        }
        accounts = (section.members("accounts") ?? []).map { Account($0, directory: directory) }
        section.finish()
    }

    /// Reads the section from a gateway's whole configuration file; the other sections are not looked at. A file
    /// without the section gives a configuration that says nothing.
    /// - Throws: ``SettingsErrors``, also if the file cannot be read.
    public static func read(gatewayFile file: String) throws(SettingsErrors) -> FabricConfiguration {
        let findings = SettingsFindings()
        let directory = FileText.directory(of: file)
        var configuration = FabricConfiguration(file: file, directory: directory)
        if let node = SettingsDocument.read(file: file, findings: findings) {
            if node.members == nil { _ = SettingsSection(node, findings: findings) }
            noteMisspelling(of: "channels", in: node, findings)
            if let channels = node["channels"], channels.value != .null {
                noteMisspelling(of: "fabric", in: channels, findings)
                if channels.members == nil { _ = SettingsSection(channels, findings: findings) }
                if let section = channels["fabric"], section.value != .null {
                    configuration = FabricConfiguration(section, directory: directory, findings: findings)
                }
            }
        }
        try findings.throwIfAny()
        return configuration
    }

    /// The rest of the file is the gateway's to judge, but a section that is not found for a slip of the pen must not look
    /// like one that is not there.
    private static func noteMisspelling(of key: String, in node: SettingsNode, _ findings: SettingsFindings) {
        guard node[key] == nil else { return }
        for member in node.members ?? [] where Nearest.word(to: member.name, among: [key]) != nil {
            findings.add(member.node, "unknown key “\(member.name)”", remedy: "Did you mean “\(key)”?")
        }
    }
}

extension FabricConfiguration.Account {
    init(_ member: SettingsNode.Member, directory: String) {
        let findings = SettingsFindings()
        accountId = Secret.masked(member.name)
        keyPath = member.node.keyPath
        let section = SettingsSection(member.node, findings: findings)
        enabled = section.bool("enabled") ?? enabled
        apiKey = section.value("fabricApiKey").flatMap {
            SecretSource($0, directory: directory, findings: findings)
        }
        if let problem = AccountName.problem(member.name) {
            findings.add(member.node, problem, remedy: "Give the agent id that Fabric and the gateway know")
        }
        section.finish()
        problems = findings.errors
    }
}

/// What an account may be called.
public enum AccountName {
    /// Why a name cannot be an agent id; nil if it can.
    public static func problem(_ name: String) -> String? {
        if !name.contains(where: { !$0.isWhitespace }) { return "the agent id is empty" }
        // Bounds the names of directories and keys that are made from it.
        if Secret.masked(name) != name {
            return "what stands in the place of the agent id looks like an API key"
        }
        if name.utf8.count > 128 { return "the agent id is longer than 128 bytes" }
        if name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) || name.contains("/") {
            return "the agent id contains a slash or a control character"
        }
        return nil
    }
}
