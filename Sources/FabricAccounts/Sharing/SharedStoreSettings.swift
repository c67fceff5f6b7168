import Glibc
import Settings

/// `store.postgresql`: the database that gateways with the same accounts share, and this gateway's part among them.
public struct SharedStoreSettings: Sendable, Equatable {
    /// The database's address, which holds its password.
    public var url: SecretSource
    /// Where the tables are in the database.
    public var schema = "fabric"
    /// PEM file of the authorities that may vouch for the database, instead of the system's.
    public var certificateAuthorityFile: String?
    /// What operators call this gateway; nil: the machine's name and the state directory.
    public var gateway: String?
    /// How large a share of the accounts it takes beside others, above 0.
    public var weight: Double = 1
    /// How often it says that it lives, in seconds.
    public var beatSeconds: Double = 2
    /// How long it may run its accounts without having been heard, in seconds.
    public var leaseSeconds: Double = 8
    /// Where it stands, for messages.
    public var file: String
    public var keyPath: String

    /// Reads `store`; nil if it does not name a shared database, or a faulty one.
    init?(_ store: SettingsSection, directory: String, findings: SettingsFindings) {
        guard let section = store.section("postgresql") else { return nil }
        let before = findings.errors.count
        let secret = section.value("url")
        let url = secret.flatMap { SecretSource($0, directory: directory, findings: findings) }
        if secret == nil {
            section.require(
                "url", remedy: "Give the database's address, best as {\"file\": \"path\"} or {\"env\": \"NAME\"}")
        }
        // What is not looked at unless it is good must not keep the rest from being read.
        self.url = url ?? .environment("")
        file = section.node.place.file
        keyPath = section.node.keyPath
        schema = Self.name(section, "schema", longest: 63, Self.isSchema, Self.schemaRule) ?? schema
        gateway = Self.name(section, "gateway", longest: 128, Self.isGateway, Self.gatewayRule)
        certificateAuthorityFile = section.string("certificateAuthorityFile").map {
            FileText.resolve($0, in: directory)
        }
        // A share of 0 is what draining is for; a million times another's share is a slip of the hand.
        weight = section.number("weight", in: 0.001...1_000_000) ?? weight
        beatSeconds = section.number("beatSeconds", in: 0.1...60) ?? beatSeconds
        leaseSeconds = section.number("leaseSeconds", in: 0.3...600) ?? leaseSeconds
        if leaseSeconds < 3 * beatSeconds {
            let place = section.value("leaseSeconds") ?? section.node
            findings.add(
                place, "a lease of \(leaseSeconds) s is shorter than three beats of \(beatSeconds) s",
                remedy: "Give leaseSeconds at least \(3 * beatSeconds), so that one lost beat costs no account")
        }
        if case .inline(let text)? = url, let secret {
            do throws(PostgreSQLAddress.Fault) {
                _ = try PostgreSQLAddress(text, certificateAuthorityFile: certificateAuthorityFile)
            } catch {
                findings.add(secret, error.problem, remedy: error.remedy)
            }
        }
        section.finish()
        guard findings.errors.count == before else { return nil }
    }

    /// Fetches the address from the place it names, and judges it.
    /// - Throws: ``SettingsError`` that names the place, never what is in it.
    public func address() throws(SettingsError) -> PostgreSQLAddress {
        let secret: Secret
        do {
            secret = try url.fetch()
        } catch {
            throw fault(error.problem, error.remedy)
        }
        do {
            return try PostgreSQLAddress(secret, certificateAuthorityFile: certificateAuthorityFile)
        } catch {
            throw fault(url.name == "inline" ? error.problem : "\(url.name): \(error.problem)", error.remedy)
        }
    }

    /// What operators call the gateway with that state directory: unique, for a state directory is one gateway's.
    public func gatewayName(stateDirectory: String) -> String {
        gateway ?? "\(Self.hostName):\(FileText.realPath(stateDirectory))"
    }

    /// This machine's name.
    public static var hostName: String {
        var bytes = [CChar](repeating: 0, count: 256)
        guard gethostname(&bytes, bytes.count - 1) == 0 else { return "localhost" }
        return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private func fault(_ problem: String, _ remedy: String) -> SettingsError {
        SettingsError(file: file, keyPath: "\(keyPath).url", problem: problem, remedy: remedy)
    }

    // MARK: Names

    private static let schemaRule = "Write small letters, digits and _, and begin with a letter"
    private static let gatewayRule = "Write printable characters, at most 128 bytes"

    /// PostgreSQL folds the case of names that are not quoted, and cuts them after 63 bytes: a name that means the same
    /// quoted or not is asked for.
    private static func isSchema(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        let isPlain = bytes.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F }
        // These belong to the database itself.
        return isPlain && (0x61...0x7A).contains(bytes.first ?? 0) && !name.hasPrefix("pg_")
            && name != "information_schema"
    }

    private static func isGateway(_ name: String) -> Bool {
        !name.unicodeScalars.contains { $0.properties.generalCategory == .control } && Secret.masked(name) == name
    }

    private static func name(
        _ section: SettingsSection, _ key: String, longest: Int, _ isGood: (String) -> Bool, _ rule: String
    ) -> String? {
        guard let text = section.string(key), let node = section.value(key) else { return nil }
        if text.utf8.count <= longest, isGood(text) { return text }
        section.findings.add(node, "this cannot be a name here", remedy: rule)
        return nil
    }
}
