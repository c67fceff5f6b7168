import FabricAccounts
import Foundation
import Settings
import Testing

func configuration(_ text: String) throws(SettingsErrors) -> FabricConfiguration {
    let findings = SettingsFindings()
    let node = SettingsDocument.parse(
        Array(text.utf8), file: "/etc/gateway.json", keyPath: "channels.fabric", findings: findings)
    try findings.throwIfAny()
    let configuration = node.map { FabricConfiguration($0, directory: "/etc", findings: findings) }
    try findings.throwIfAny()
    return configuration ?? FabricConfiguration(file: "/etc/gateway.json", directory: "/etc")
}

func decide(
    _ section: String, identities: String? = nil, environment: Set<String> = [],
    files: [String: SecretPresence.File] = [:]
) throws -> FabricAccounts {
    let configuration = try configuration(section)
    let path = configuration.identityFile
    return FabricAccounts(
        configuration: configuration,
        identities: identities.map { IdentityFile(path: path, text: Array($0.utf8)) } ?? IdentityFile(path: path),
        presence: SecretPresence(environment: { environment.contains($0) }, file: { files[$0] ?? .absent }))
}

let center = "\"centerApiBase\": \"http://localhost:7001/api\""

@Suite struct AccountTests {
    // MARK: What is configured, row by row

    @Test(arguments: ["{}", "{\"enabled\": true}", "{\(center)}", "{\(center), \"accounts\": {}}"])
    func nothingBoundIsNotConfigured(_ section: String) throws {
        for identities in [nil, "{\"entries\":[]}", "{\"agents\":{}}", "{}"] {
            let found = try decide(section, identities: identities)
            #expect(!found.configured && found.accounts.isEmpty && found["default"] == nil)
            #expect(found.reason.contains("no account is bound") && found.reason.contains("setup bind"))
        }
    }

    @Test func entryWithoutAgentIdOrWithAnEmptyKey() throws {
        let found = try decide(
            "{\(center), \"accounts\": {\"a\": {\"fabricApiKey\": \"\"}, \"b\": {}, \" \": {\"fabricApiKey\": \"k\"}}}",
            identities: #"{"entries":[{"fabricApiKey":"k"},{"agentId":"c","fabricApiKey":" "},{"agentId":"d"},7]}"#)
        #expect(!found.configured && found.accounts.count == 7)
        #expect(found.accounts.allSatisfy { !$0.configured && $0.credential == .missing && !$0.mayStart && $0.enabled })
        #expect(found["a"]?.reason.contains("/etc/gateway.json: channels.fabric.accounts.a.fabricApiKey") == true)
        #expect(found["b"]?.reason.contains("channels.fabric.accounts.b.fabricApiKey is not set") == true)
        #expect(found[" "]?.reason.contains("agent id is empty") == true)
        #expect(found["c"]?.reason.contains("/etc/fabric-identity.json:1: entries[1].fabricApiKey") == true)
        #expect(found["d"]?.reason.contains("entries[2].fabricApiKey: it is missing") == true)
        let nameless = found.accounts.filter { $0.accountId.isEmpty }
        #expect(nameless.count == 2 && nameless[0].reason.contains("entries[0].agentId: it is missing"))
    }

    @Test func keyThatIsPresent() throws {
        let found = try decide(
            """
            {\(center), "accounts": {"a": {"fabricApiKey": "fak_inline"}, "b": {"fabricApiKey": {"env": "B"}},
             "c": {"fabricApiKey": {"file": "./c.key"}}}}
            """,
            identities: #"{"agents":{"d":{"fabric_api_key":"fak_d","fabric_user_id":"u1"}}}"#, environment: ["B"],
            files: ["/etc/c.key": .readable])
        #expect(found.configured && found.reason == "4 configured")
        #expect(found.accounts.allSatisfy { $0.configured && $0.credential == .available && $0.mayStart })
        #expect(found.accounts.allSatisfy { $0.reason.isEmpty && $0.enabled })
        #expect(
            found.accounts.map(\.source) == [
                "inline", "env B", "file /etc/c.key", "identity file /etc/fabric-identity.json",
            ])
        #expect(found["d"]?.userId == "u1" && found["b"]?.apiKey == .environment("B"))
    }

    @Test func keyThatIsAbsentNeverFallsThrough() throws {
        let found = try decide(
            """
            {\(center), "accounts": {"a": {"fabricApiKey": {"env": "A"}}, "b": {"fabricApiKey": {"file": "b"}},
             "c": {"fabricApiKey": {"file": "/c"}}, "d": {"fabricApiKey": ""}}}
            """,
            identities: #"{"entries":[{"agentId":"d","fabricApiKey":"fak_d"}]}"#, files: ["/c": .unreadable("denied")])
        for (id, word) in [("a", "variable A"), ("b", "/etc/b"), ("c", "denied")] {
            #expect(found[id]?.configured == true && found[id]?.credential == .unavailable)
            #expect(found[id]?.reason.contains(word) == true && found[id]?.mayStart == false)
        }
        #expect(found["d"]?.configured == false, "the key in the identity file is not taken instead")
        let twice = try decide(
            "{\(center), \"accounts\": {\"a\": {\"fabricApiKey\": {\"env\": \"A\"}}}}",
            identities: #"{"entries":[{"agentId":"a","fabricApiKey":"fak_a"}]}"#)
        #expect(twice["a"]?.configured == false && twice["a"]?.apiKey == nil)
    }

    @Test func disabled() throws {
        let found = try decide(
            """
            {\(center), "accounts": {"a": {"enabled": false, "fabricApiKey": "k"}, "b": {"enabled": false},
             "c": {"fabricApiKey": "k"}, "d": {"enabled": false, "fabricApiKey": {"env": "X"}}}}
            """, identities: #"{"agents":{"e":{"fabric_api_key":"k","enabled":false}}}"#)
        #expect(found["a"]?.enabled == false && found["a"]?.configured == true && found["a"]?.reason == "disabled")
        #expect(found["b"]?.enabled == false && found["b"]?.configured == false)
        #expect(found["c"]?.mayStart == true && found["e"]?.enabled == false && found["e"]?.configured == true)
        #expect(found["d"]?.credential == .unavailable && found["d"]?.reason.hasPrefix("disabled; ") == true)
        let channel = try decide("{\(center), \"enabled\": false, \"accounts\": {\"a\": {\"fabricApiKey\": \"k\"}}}")
        #expect(channel["a"]?.enabled == false && channel.configured && channel.reason.contains("channel is disabled"))
    }

    // MARK: Around the table

    @Test func boundTwice() throws {
        let section =
            "{\(center), \"accounts\": {\"a\": {\"fabricApiKey\": \"fak_one\"}, \"b\": {\"fabricApiKey\": \"x\"}}}"
        let found = try decide(section, identities: #"{"entries":[{"agentId":"a","fabricApiKey":"fak_two"}]}"#)
        #expect(found["a"]?.configured == false && found["b"]?.configured == true && found.configured)
        #expect(found["a"]?.reason.contains("/etc/gateway.json: channels.fabric.accounts.a") == true)
        #expect(found["a"]?.reason.contains("/etc/fabric-identity.json: entries[0]") == true)
        #expect(found["a"]?.reason.contains("fak_") == false)
        let same = try decide(section, identities: #"{"entries":[{"agentId":"a","fabricApiKey":"fak_one"}]}"#)
        #expect(same["a"]?.configured == true && same.accounts.count == 2)
        let inFile = try decide(
            "{\(center)}",
            identities: #"{"entries":[{"agentId":"a","fabricApiKey":"1"},{"agentId":"a","fabricApiKey":"2"}]}"#)
        #expect(inFile.accounts.count == 1 && inFile["a"]?.reason.contains("entries[1]") == true)
    }

    @Test func settingsInOnePlaceAndKeyInTheOther() throws {
        let found = try decide(
            "{\(center), \"accounts\": {\"a\": {\"enabled\": true}, \"b\": {\"enabled\": false}}}",
            identities: #"{"entries":[{"agentId":"a","fabricApiKey":"k"},{"agentId":"b","fabricApiKey":"k"}]}"#)
        #expect(found["a"]?.mayStart == true && found["b"]?.configured == true && found["b"]?.enabled == false)
    }

    @Test func aBadAccountDoesNotStopTheGoodOnes() throws {
        let found = try decide(
            """
            {\(center), "accounts": {"good": {"fabricApiKey": "k"}, "bad": {"fabricApiKey": "k", "enbled": true},
             "worse": 7, "x/y": {"fabricApiKey": "k"}}}
            """, identities: "{ not json")
        #expect(found["good"]?.mayStart == true && found.configured)
        #expect(found["bad"]?.reason.contains("Did you mean \"enabled\"?") == true && found["bad"]?.configured == false)
        #expect(found["worse"]?.configured == false && found["x/y"]?.reason.contains("slash") == true)
        #expect(found.problems.count == 1 && found.reason.contains("not JSON"))
    }

    @Test func withoutCenterNothingIsConfigured() throws {
        let found = try decide("{\"accounts\": {\"a\": {\"fabricApiKey\": \"k\"}}}")
        #expect(!found.configured && found.reason.contains("centerApiBase") && found["a"]?.configured == false)
    }

    @Test func channelMistakesAreAllReported() {
        let text = """
            {"centerApiBas": "http://x", "enabled": 1, "sessionSeconds": "x", "catchUp": {"wake": "nevr", "y": 1},
             "attachments": {"maximumMegabytes": -1}, "commandsSyncKey": {}, "accounts": []}
            """
        do {
            _ = try configuration(text)
            Issue.record("accepted")
        } catch {
            let paths = Set(error.errors.map { $0.keyPath.replacingOccurrences(of: "channels.fabric.", with: "") })
            #expect(
                paths == [
                    "centerApiBas", "enabled", "sessionSeconds", "catchUp.wake", "catchUp.y",
                    "attachments.maximumMegabytes", "commandsSyncKey", "accounts",
                ])
            #expect(error.errors.allSatisfy { $0.file == "/etc/gateway.json" && !$0.remedy.isEmpty })
        }
    }

    @Test func allSettingsAreRead() throws {
        let found = try configuration(
            """
            {"enabled": true, "centerApiBase": "https://c/api", "commandsSyncKey": {"env": "K"}, "identityFile": "./i.json",
             "coalesce": false, "channelSyncSeconds": 5, "sessionSeconds": 0, "catchUp": {"wake": "never",
             "maximumMessages": 7, "maximumHours": 1.5, "turnPatienceSeconds": 2}, "attachments": {"maximumMegabytes": 3}, "turnTimeoutSeconds": 9,
             "certificateAuthorityFile": "ca.pem", "accounts": {"b": {"fabricApiKey": "k"}, "a": {"fabricApiKey": "k"}}}
            """)
        #expect(found.identityFile == "/etc/i.json" && found.certificateAuthorityFile == "/etc/ca.pem")
        #expect(!found.coalesce && found.channelSyncSeconds == 5 && found.sessionSeconds == 480)
        #expect(found.catchUp.wake == .never && found.catchUp.maximumMessages == 7 && found.catchUp.maximumHours == 1.5)
        #expect(found.catchUp.turnPatienceSeconds == 2)
        #expect(found.attachmentMegabytes == 3 && found.turnTimeoutSeconds == 9)
        #expect(found.commandsSyncKey == .environment("K") && found.accounts.map(\.accountId) == ["b", "a"])
    }

    @Test func inspectionAsJSON() throws {
        let found = try decide("{\(center), \"accounts\": {\"a\": {\"fabricApiKey\": \"fak_secret_0123456789abc\"}}}")
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let text = String(decoding: try encoder.encode(found.inspection), as: UTF8.self)
        #expect(
            text == """
                {"accounts":[{"accountId":"a","configured":true,"credential":"available","enabled":true,"reason":"",\
                "source":"inline"}],"channel":"fabric","configured":true,"reason":"1 configured"}
                """)
        var shown = "\(found)"
        dump(found, to: &shown)
        #expect(!shown.contains("fak_secret_"))
        #expect(try JSONDecoder().decode(SetupInspection.self, from: Data(text.utf8)) == found.inspection)
    }

    /// A key that was put into the place of a name is a mistake, and must not be seen.
    @Test func aKeyInThePlaceOfANameIsNotShown() throws {
        let key = "fak_0123456789abcdef0123456789"
        let found = try decide(
            "{\(center), \"accounts\": {\"\(key)\": {\"fabricApiKey\": \"x\"}, \"a\": {\"\(key)\": 1}}}",
            identities: """
                {"entries": [{"agentId": "\(key)", "fabricApiKey": "x"}],
                 "agents": {"\(key)": {"fabric_api_key": "x", "\(key)": 2}}}
                """)
        var text = "\(found.inspection) \(found.problems)"
        dump(found, to: &text)
        #expect(!text.contains("0123456789ab") && text.contains("fak_0123…"))
        #expect(!found.configured && found.reason.contains("looks like an API key"))
        for section in ["{\"\(key)\": 1}", "{\"catchUp\": {\"wake\": \"\(key)\"}}", "{\"\(key)\": 1, \"\(key)\": 2}"] {
            do throws(SettingsErrors) {
                _ = try configuration(section)
                Issue.record("\(section)")
            } catch {
                #expect(!error.description.contains("0123456789ab") && error.description.contains("fak_0123…"))
            }
        }
        #expect(Secret.masked("fak_store") == "fak_store" && Secret.masked("FAK_0123456789abcdef x") == "FAK_01… x")
        #expect(Secret.masked("ä fak_") == "ä fak_" && Secret.masked("") == "")
    }

    // MARK: The identity file as a whole

    @Test(arguments: [
        ("", true), ("{\"entries\": [{\"agentId\": \"a\", \"fabricApi", true), ("garbage", true), ("[1]", true),
        ("7", true),
        ("{\"entries\": 7}", true), ("{\"other\": []}", true), ("{\"entries\": []}", false), ("{}", false),
    ])
    func aBrokenIdentityFileIsAFault(_ text: String, _ isFault: Bool) {
        let file = IdentityFile(path: "/etc/id.json", text: Array(text.utf8))
        for (named, was) in [(false, false), (true, false), (false, true)] {
            #expect(file.faults(isNamed: named, wasThere: was).isEmpty == !isFault)
        }
    }

    @Test func aMissingIdentityFileIsAFaultIfItWasNamedOrThere() {
        let file = IdentityFile.read(NSTemporaryDirectory() + "never-\(UUID())")
        #expect(file.faults(isNamed: false, wasThere: false).isEmpty)
        #expect(file.faults(isNamed: true, wasThere: false).first?.problem == "the identity file does not exist")
        #expect(file.faults(isNamed: false, wasThere: true).first?.problem == "the identity file was there and is gone")
        #expect(IdentityFile.read(NSTemporaryDirectory()).faults(isNamed: false, wasThere: false).count == 1)
    }

    // MARK: Authorities

    private static let certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBdDCCARqgAwIBAgIUHk5uBB2iLEnmDcsqH4+5i8dSkSAwCgYIKoZIzj0EAwIw
        -----END CERTIFICATE-----
        """

    /// A sequence of 300 bytes, as a certificate's outside looks.
    private static var sound: String {
        let bytes: [UInt8] = [0x30, 0x82, 0x01, 0x2C] + [UInt8](repeating: 5, count: 300)
        return "-----BEGIN CERTIFICATE-----\r\n" + Data(bytes).base64EncodedString(options: .lineLength64Characters)
            + "\r\n-----END CERTIFICATE-----\r\n"
    }

    @Test func authoritiesAreLookedThrough() throws {
        let sound = Self.sound
        let good = [
            sound, "# a comment\n\(sound)\n\(sound)",
            "-----BEGIN X509 CRL-----\nAA==\n-----END X509 CRL-----\n" + sound,
        ]
        for text in good { _ = try CertificateAuthorities(path: "x", pem: Array(text.utf8)) }
        let bad = [
            "", "garbage", Self.certificate, String(sound.prefix(200)), sound.replacingOccurrences(of: "M", with: "*"),
            sound + "-----BEGIN CERTIFICATE-----\nAAAA\n", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        ]
        for text in bad {
            #expect(throws: SettingsError.self, "\(text)") {
                try CertificateAuthorities(path: "x", pem: Array(text.utf8))
            }
        }
        #expect(throws: SettingsError.self) { try CertificateAuthorities(path: "/nowhere/at/all") }
        let one = try CertificateAuthorities(path: "x", pem: Array(sound.utf8))
        let other = try CertificateAuthorities(path: "x", pem: Array((sound + "\n").utf8))
        #expect(one.contentName.count == 16 && one.contentName != other.contentName)
    }

    @Test func credentialsAreComparedByTheirValue() {
        let one = CredentialFingerprint(key: Secret("a"), center: "http://c")
        #expect(one == CredentialFingerprint(key: Secret("a"), center: "http://c"))
        #expect(one != CredentialFingerprint(key: Secret("b"), center: "http://c"))
        #expect(one != CredentialFingerprint(key: Secret("a"), center: "http://d"))
        #expect(!"\(one)".contains("\"a\""))
    }

    @Test func theWholeFileIsReadAndOtherSectionsAreNot() throws {
        let path = NSTemporaryDirectory() + "gateway-\(UUID().uuidString).json"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try "{ // c\n\"agents\": 7, \"channels\": {\"other\": 1,\n \"fabric\": {\(center)}}}"
            .write(toFile: path, atomically: true, encoding: .utf8)
        let found = try FabricConfiguration.read(gatewayFile: path)
        #expect(
            found.centerApiBase == "http://localhost:7001/api" && found.identityFile.hasSuffix("/fabric-identity.json"))
        try "{\"channels\": {\"fabric\":\n {\"x\": 1}}}".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(throws: SettingsErrors.self) { try FabricConfiguration.read(gatewayFile: path) }
        try "{}".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(try FabricConfiguration.read(gatewayFile: path).accounts.isEmpty)
        for slip in [#"{"chanels": {}}"#, #"{"channels": {"fabrik": {}}}"#] {
            try Data(slip.utf8).write(to: URL(fileURLWithPath: path))
            #expect(throws: SettingsErrors.self, "\(slip)") { try FabricConfiguration.read(gatewayFile: path) }
        }
        #expect(throws: SettingsErrors.self) { try FabricConfiguration.read(gatewayFile: path + ".absent") }
    }
}
