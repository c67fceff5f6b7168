/// What gateways that share their accounts should have alike, in a few characters each: a gateway says it with its beat, and
/// others say where theirs differs. It holds no secret, and nothing can be read back from it.
public struct SharedSettingsDigest: Sendable, Equatable, CustomStringConvertible {
    /// In the order in which they are written: the key of the settings, and eight digits.
    public let parts: [(name: String, digits: String)]

    public var description: String { parts.map { "\($0.name):\($0.digits)" }.joined(separator: " ") }

    public static func == (left: Self, right: Self) -> Bool { left.description == right.description }

    /// Of a configuration and the accounts it leads to. What is this machine's own (paths, places of secrets, weight, whether
    /// a key is at hand) is not in it.
    public init(_ configuration: FabricConfiguration, accounts: FabricAccounts) {
        let ids = accounts.accounts.filter { $0.enabled && $0.configured }.map(\.accountId).sorted()
        let catchUp = configuration.catchUp
        let attachments = "\(configuration.attachmentMegabytes) \(configuration.allowsPrivateAddresses)"
        let talk = "\(configuration.agentTalkMessages) \(configuration.agentTalkSeconds)"
        let lease = configuration.sharedStore.map { "\($0.beatSeconds) \($0.leaseSeconds)" } ?? ""
        var values: [(String, String)] = [
            ("accounts", ids.joined(separator: "\n")), ("centerApiBase", configuration.centerApiBase ?? ""),
            ("catchUp", "\(catchUp.wake.rawValue) \(catchUp.maximumMessages) \(catchUp.maximumHours)"),
            ("attachments", attachments), ("agentTalk", talk), ("coalesce", "\(configuration.coalesce)"),
            ("redeliveries", "\(configuration.redeliveries)"), ("presence", "\(configuration.presence)"),
            ("turnTimeoutSeconds", "\(configuration.turnTimeoutSeconds)"),
            ("guestPatienceSeconds", "\(configuration.guestPatienceSeconds)"),
            ("channelSyncSeconds", "\(configuration.channelSyncSeconds)"),
            ("sessionSeconds", "\(configuration.sessionSeconds)"),
            ("commandsSyncKey", "\(configuration.commandsSyncKey != nil)"), ("store", lease),
        ]
        // Builds before these were there have the defaults, and run beside this one while a fleet is brought up to date.
        let defaults = FabricConfiguration()
        if configuration.connectsAtOnce != defaults.connectsAtOnce {
            values.append(("connectsAtOnce", "\(configuration.connectsAtOnce)"))
        }
        if configuration.loginsPerSecond != defaults.loginsPerSecond {
            values.append(("loginsPerSecond", "\(configuration.loginsPerSecond)"))
        }
        if catchUp.turnPatienceSeconds != defaults.catchUp.turnPatienceSeconds {
            values.append(("catchUp.turnPatienceSeconds", "\(catchUp.turnPatienceSeconds)"))
        }
        parts = values.map { ($0.0, Self.digits($0.1)) }
    }

    /// The keys in which two digests differ; also those that only one of them has.
    public static func differences(_ one: String, _ other: String) -> [String] {
        let (left, right) = (table(one), table(other))
        return Set(left.keys).union(right.keys).filter { left[$0] != right[$0] }.sorted()
    }

    private static func table(_ text: String) -> [String: Substring] {
        var result: [String: Substring] = [:]
        for part in text.split(separator: " ") {
            guard let colon = part.firstIndex(of: ":") else { continue }
            result[String(part[..<colon])] = part[part.index(after: colon)...]
        }
        return result
    }

    /// FNV-1a, 64 bits folded to 32: the same in every process and build.
    private static func digits(_ text: String) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let folded = String(UInt32(truncatingIfNeeded: hash ^ hash >> 32), radix: 16)
        return String(repeating: "0", count: 8 - folded.count) + folded
    }
}
