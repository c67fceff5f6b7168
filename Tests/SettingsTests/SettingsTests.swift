import JSONBytes
import Testing

@testable import Settings

func read(_ text: String, _ body: (SettingsSection) -> Void = { _ in }) -> [SettingsError] {
    let findings = SettingsFindings()
    if let node = SettingsDocument.parse(Array(text.utf8), file: "f.json", findings: findings) {
        let section = SettingsSection(node, findings: findings)
        body(section)
        section.finish()
    }
    return findings.errors
}

@Suite struct SettingsTests {
    @Test func commentsAreSpaces() {
        let text = """
            // first
            { /* second
               third */ "a": "// not one /* nor this */", // x
              "b": 2 /**/ }
            // the end
            """
        let errors = read(text) { section in
            #expect(section.string("a") == "// not one /* nor this */")
            #expect(section.int("b", in: 0...9) == 2)
            #expect(section.value("b")?.place.line == 4)
        }
        #expect(errors.isEmpty)
        #expect(read("\u{FEFF}{}").isEmpty)
        #expect(read("{} // \\\"").isEmpty)
        #expect(read("{\"a\\\"//\": 1}") { _ = $0.value("a\"//") }.isEmpty)
    }

    @Test func badSyntaxIsNamedWithItsLine() {
        let cases: [(String, Int, String)] = [
            ("{\n \"a\": 1,\n}", 3, "Remove the comma"), ("{\n \"a\": [1,]}", 2, "Remove the comma"),
            ("{\"a\": 1\n \"b\": 2}", 2, "Put a comma"), ("{\"a\": ", 1, "Close every"), ("{a: 1}", 1, "double quotes"),
            ("{\"a\": 1} x", 1, "Correct"), ("{\n/* ", 2, "*/"), ("", 1, "Close every"),
        ]
        for (text, line, remedy) in cases {
            let errors = read(text)
            #expect(errors.count == 1 && errors.first?.line == line, "\(text)")
            #expect(errors.first?.remedy.contains(remedy) == true, "\(text)")
        }
    }

    @Test func everythingIsFoundAtOnce() {
        let text = """
            { "enbled": true,
              "a": 1, "a": 2,
              "text": 5, "flag": "yes", "count": 1000, "ratio": "x", "list": {}, "inner": [], "empty": " ",
              "word": "sevn", "url": "ftp://x" }
            """
        let errors = read(text) { section in
            #expect(section.bool("enabled") == nil)
            #expect(section.int("a", in: 0...9) == 1)
            #expect(section.string("text") == nil && section.bool("flag") == nil && section.string("empty") == nil)
            #expect(section.int("count", in: 0...9) == nil && section.number("ratio", in: 0...1) == nil)
            #expect(section.strings("list") == nil && section.section("inner") != nil)
            #expect(section.url("url") == nil && section.choice("word", Word.self) == nil)
        }
        let found = Dictionary(errors.map { ($0.keyPath, $0) }, uniquingKeysWith: { first, _ in first })
        #expect(errors.count == 11)
        #expect(found["enbled"]?.remedy == "Did you mean \"enabled\"?" && found["enbled"]?.line == 1)
        #expect(found["a"]?.problem.contains("twice; the first is in line 2") == true)
        #expect(found["text"]?.problem == "this is a number, a string is wanted")
        #expect(found["count"]?.remedy == "Give a number from 0 to 9")
        #expect(found["word"]?.remedy.hasPrefix("Did you mean \"seven\"?") == true)
        #expect(errors.first?.description.hasPrefix("f.json:") == true)
    }

    enum Word: String, CaseIterable { case seven, eight }

    @Test func nullIsAbsent() {
        let errors = read("{\"a\": null}") { #expect($0.string("a") == nil && $0.value("a") == nil) }
        #expect(errors.isEmpty)
    }

    @Test func paths() {
        let errors = read(#"{"a.b": {"x": [{"y": 1}]}, "é": 2, "": 3}"#) { section in
            let inner = section.section("a.b")
            #expect(inner?.elements("x")?.first?["y"]?.keyPath == "\"a.b\".x[0].y")
            inner?.finish()
        }
        #expect(Set(errors.map(\.keyPath)) == ["é", "\"\""])
    }

    @Test func urls() {
        for (text, isGood) in [
            ("http://h", true), ("https://h:1/api", true), ("HTTP://H/", true), ("h", false), ("http:/h", false),
            ("http://", false), ("http://u:p@h/", false), ("http://h/ x", false), ("ws://h", false), ("://h", false),
        ] {
            var found: String?
            let errors = read("{\"u\": \"\(text)\"}") { found = $0.url("u") }
            #expect((found != nil) == isGood && errors.isEmpty == isGood, "\(text)")
        }
    }

    @Test func nearest() {
        #expect(Nearest.word(to: "identtyFile", among: ["identityFile", "enabled"]) == "identityFile")
        #expect(Nearest.word(to: "ENABELD", among: ["identityFile", "enabled"]) == "enabled")
        #expect(Nearest.word(to: "completely", among: ["identityFile", "enabled"]) == nil)
        #expect(Nearest.word(to: "x", among: []) == nil && Nearest.word(to: "", among: ["ab"]) == "ab")
    }

    @Test func pathsAreRelativeToTheFile() {
        #expect(FileText.resolve("./a", in: "/etc/x") == "/etc/x/a" && FileText.resolve("/a", in: "/etc") == "/a")
        #expect(FileText.resolve("a", in: ".") == "a" && FileText.directory(of: "/a") == "/")
        #expect(FileText.directory(of: "/a/b.json") == "/a" && FileText.directory(of: "b.json") == ".")
    }

    @Test func secretsDoNotShowThemselves() {
        let text = "fak_0123456789abcdefghijklmnopqrstuvwxyz"
        let secret = Secret(text)
        var shown = "\(secret) \(String(reflecting: secret)) \(SecretSource.inline(secret)) \(Optional(secret) as Any)"
        dump(secret, to: &shown)
        dump(SecretSource.inline(secret), to: &shown)
        dump([["key": secret]], to: &shown)
        #expect(!shown.contains(text.prefix(9)) && shown.contains("fak_0123"))
        #expect(Secret("short").hint == "s…" && Secret("ab").hint == "…" && secret.reveal() == text)
    }

    @Test func secretSources() throws {
        func source(_ json: String) -> (SecretSource?, [SettingsError]) {
            let findings = SettingsFindings()
            let node = SettingsDocument.parse(Array(json.utf8), file: "f", findings: findings)
            return (node.flatMap { SecretSource($0, directory: "/d", findings: findings) }, findings.errors)
        }
        #expect(source("\"k\"").0 == .inline(Secret("k")))
        #expect(source("{\"env\":\"N\"}").0 == .environment("N"))
        #expect(source("{\"file\":\"./s\"}").0 == .file("/d/s"))
        for bad in [
            "\"\"", "\" \"", "1", "{}", "{\"env\":\"A\",\"file\":\"b\"}", "{\"envv\":\"A\"}", "{\"env\":1}", "[]",
        ] {
            let (found, errors) = source(bad)
            #expect(found == nil && !errors.isEmpty && !"\(errors)".contains("fak_SECRET"), "\(bad)")
        }
        #expect(throws: SecretSource.Unavailable.self) { try SecretSource.environment("SURELY_NOT_SET_X").fetch() }
        #expect(throws: SecretSource.Unavailable.self) { try SecretSource.file("/nonexistent/x").fetch() }
        #expect(throws: SecretSource.Unavailable.self) { try SecretSource.file("/dev/null").fetch() }
        #expect(throws: SecretSource.Unavailable.self) { try SecretSource.file("/").fetch() }
        #expect(try SecretSource.environment("PATH").fetch().isEmpty == false)
    }

    @Test func aMissingFileIsAFinding() {
        let findings = SettingsFindings()
        #expect(SettingsDocument.read(file: "/nonexistent/gateway.json", findings: findings) == nil)
        #expect(findings.errors.first?.file == "/nonexistent/gateway.json")
        #expect(throws: SettingsErrors.self) { try findings.throwIfAny() }
    }

    @Test(arguments: [
        ("{}", ["a"], "{ \"a\": { \"x\": 1 } }"), ("{\"a\":{}}", ["a"], "{\"a\":{ \"x\": 1 }}"),
        ("{\"a\":{\"y\":2}}", ["a"], "{\"a\":{ \"x\": 1,\"y\":2}}"),
        ("// {\n{ /* { */\n  \"b\": 1 // c\n}", ["a"], "// {\n{ \"a\": { \"x\": 1 }, /* { */\n  \"b\": 1 // c\n}"),
        ("{\n\t\"b\": 1\n}", ["a"], "{\n\t\"a\": { \"x\": 1 },\n\t\"b\": 1\n}"), ("{}", [], "{ \"x\": 1 }"),
        ("{\"a\":\"{\", \"c\":{}}", ["c", "d"], "{\"a\":\"{\", \"c\":{ \"d\": { \"x\": 1 } }}"),
    ])
    func aMemberIsPutIntoATextThatStaysAsItIs(_ text: String, _ path: [String], _ expected: String) {
        let found = SettingsEditor.insert("x", "1", at: path, in: Array(text.utf8))
        #expect(found.map { String(decoding: $0, as: UTF8.self) } == expected)
    }

    @Test(arguments: [
        "", "[1]", "7", "{\"a\":7}", "{\"a\":{\"x\":0}}", "{\"a\":", "{} /*", "{\"a\":null}",
    ])
    func whatIsNoPlaceForAMemberStaysUntouched(_ text: String) {
        #expect(SettingsEditor.insert("x", "1", at: ["a"], in: Array(text.utf8)) == nil)
    }
}
