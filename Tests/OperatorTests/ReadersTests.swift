import FabricAccounts
import FabricChannel
import Foundation
import JSONBytes
import Logging
import Settings
import Testing

/// One way of having configured the channel, as an operator would write it.
struct Row: Sendable, CustomTestStringConvertible {
    var name: String
    var section: String
    var identities: String?
    /// What the row must say of its one account; nil: there is no account.
    var expected: Expected?

    struct Expected: Sendable {
        var enabled = true
        var configured: Bool
        var credential: String
        /// A part of the reason; empty: there is none.
        var reason: String
    }

    var testDescription: String { name }

    // Nobody listens on port 1.
    private static let center = "\"centerApiBase\":\"http://127.0.0.1:1/api\""

    private static func account(_ text: String, _ more: String = "") -> String {
        "{\(center),\(more)\"accounts\":{\"a\":\(text)}}"
    }

    static let all: [Row] = [
        Row(name: "nothing", section: "{}"),
        Row(name: "only centerApiBase", section: "{\(center)}"),
        Row(
            name: "entry without agent id", section: "{\(center)}", identities: #"{"entries":[{"fabricApiKey":"k"}]}"#,
            expected: .init(configured: false, credential: "missing", reason: "agentId")),
        Row(
            name: "empty key", section: account(#"{"fabricApiKey":" "}"#),
            expected: .init(configured: false, credential: "missing", reason: "it is empty")),
        Row(
            name: "no key", section: account("{}"),
            expected: .init(configured: false, credential: "missing", reason: "fabricApiKey is not set")),
        Row(
            name: "key without Center", section: #"{"accounts":{"a":{"fabricApiKey":"k"}}}"#,
            expected: .init(configured: false, credential: "missing", reason: "centerApiBase is not set")),
        Row(
            name: "key inline", section: account(#"{"fabricApiKey":"k"}"#),
            expected: .init(configured: true, credential: "available", reason: "")),
        Row(
            name: "key by environment", section: account(#"{"fabricApiKey":{"env":"PATH"}}"#),
            expected: .init(configured: true, credential: "available", reason: "")),
        Row(
            name: "key by environment, absent", section: account(#"{"fabricApiKey":{"env":"SURELY_NOT_SET_X"}}"#),
            expected: .init(configured: true, credential: "unavailable", reason: "SURELY_NOT_SET_X")),
        Row(
            name: "key by file", section: account(#"{"fabricApiKey":{"file":"secret"}}"#),
            expected: .init(configured: true, credential: "available", reason: "")),
        Row(
            name: "key by file, absent", section: account(#"{"fabricApiKey":{"file":"nowhere"}}"#),
            expected: .init(configured: true, credential: "unavailable", reason: "nowhere does not exist")),
        Row(
            name: "key by file, unreadable", section: account(#"{"fabricApiKey":{"file":"."}}"#),
            expected: .init(configured: true, credential: "unavailable", reason: "no regular file")),
        Row(
            name: "key by file, empty", section: account(#"{"fabricApiKey":{"file":"empty"}}"#),
            expected: .init(configured: true, credential: "unavailable", reason: "it is empty")),
        Row(
            name: "disabled", section: account(#"{"enabled":false,"fabricApiKey":"k"}"#),
            expected: .init(enabled: false, configured: true, credential: "available", reason: "disabled")),
        Row(
            name: "channel disabled", section: account(#"{"fabricApiKey":"k"}"#, #""enabled":false,"#),
            expected: .init(enabled: false, configured: true, credential: "available", reason: "disabled")),
        Row(
            name: "disabled and not configured", section: account(#"{"enabled":false,"fabricApiKey":""}"#),
            expected: .init(enabled: false, configured: false, credential: "missing", reason: "disabled; ")),
        Row(
            name: "first identity shape", section: "{\(center)}",
            identities: #"{"entries":[{"agentId":"a","fabricApiKey":"k"}]}"#,
            expected: .init(configured: true, credential: "available", reason: "")),
        Row(
            name: "second identity shape, disabled", section: "{\(center)}",
            identities: #"{"agents":{"a":{"fabric_api_key":"k","enabled":false}}}"#,
            expected: .init(enabled: false, configured: true, credential: "available", reason: "disabled")),
        Row(
            name: "absent key does not fall through", section: account(#"{"fabricApiKey":{"env":"SURELY_NOT_SET_X"}}"#),
            identities: #"{"entries":[{"agentId":"a","fabricApiKey":"k"}]}"#,
            expected: .init(configured: false, credential: "missing", reason: "bound twice")),
    ]
}

/// What a reader says of one account.
private struct Verdict: Equatable {
    var enabled: Bool?
    var configured: Bool?
    var credential: String?
    var reason: String?

    init(_ json: JSONValue) {
        enabled = json["enabled"]?.bool
        configured = json["configured"]?.bool
        credential = json["credential"]?.string
        reason = json["reason"]?.string
    }
}

private final class Nobody: GatewayPort {
    func deliver(_ delivery: UnsafeRawBufferPointer) -> DeliveryAnswer { .finished }
    func accountChanged(_ status: [UInt8]) {}
}

@Suite(.timeLimit(.minutes(5))) struct ReadersTests {
    private typealias Handler =
        @Sendable (isolated PluginInstance, [UInt8], @escaping @Sendable (RequestResult) -> Void) -> Void

    private func ask(_ instance: PluginInstance, _ handler: @escaping Handler, _ json: JSONValue) async -> (
        code: RequestResult.Code, json: JSONValue
    ) {
        let result = await withCheckedContinuation { done in
            instance.request(handler, json.serialized) { done.resume(returning: $0) }
        }
        return (result.code, (try? JSONValue(parsing: result.json)) ?? .null)
    }

    /// The decision, start gate, status, inspect and doctor say the same of every row.
    @Test(arguments: Row.all) func oneDecision(_ row: Row) async throws {
        let desk = try Desk()
        try desk.configure(row.section, agents: #"{"a":{"builtin":"echo"}}"#)
        try desk.write("key\n", to: "secret")
        try desk.write("", to: "empty")
        if let identities = row.identities { try desk.write(identities, to: "fabric-identity.json") }

        // The decision itself, against the table.
        let configuration = try FabricConfiguration.read(gatewayFile: desk.file)
        let decision = FabricAccounts(configuration: configuration)
        let inspection = try JSONValue(parsing: Array(JSONEncoder().encode(decision.inspection)))
        let accounts = inspection["accounts"]?.array ?? []
        #expect(accounts.count == (row.expected == nil ? 0 : 1))
        #expect(inspection["configured"]?.bool == (row.expected?.configured ?? false))
        if let expected = row.expected, let first = accounts.first {
            let verdict = Verdict(first)
            #expect(verdict.enabled == expected.enabled && verdict.configured == expected.configured)
            #expect(verdict.credential == expected.credential)
            #expect(expected.reason.isEmpty ? verdict.reason == "" : verdict.reason?.contains(expected.reason) == true)
        } else {
            #expect(inspection["reason"]?.string?.contains("setup bind") == true)
        }

        // inspect
        let inspect = try await desk.run("fabric-setup", ["inspect", "--json"])
        var shown = inspect.json.object ?? [:]
        // Where what survives is kept is no part of the decision.
        #expect(shown.removeValue(forKey: "store")?["kind"]?.string == "sqlite")
        #expect(inspect.code == 0 && .object(shown) == inspection, "\(inspect.all)")

        // doctor
        let doctor = try await desk.run("fabric-setup", ["doctor", "--json", "--offline"])
        let findings = doctor.json["findings"]?.array ?? []
        for account in accounts {
            let verdict = Verdict(account)
            let id = account["accountId"]?.string ?? ""
            let place = "account \(id.isEmpty ? "(no agent id)" : id)"
            let found = findings.first { $0["where"]?.string == place }
            let isGood =
                verdict == Verdict(["enabled": true, "configured": true, "credential": "available", "reason": ""])
            #expect(found?["level"]?.string == (isGood ? "good" : verdict.isOnlyDisabled ? "warning" : "error"))
            if !isGood { #expect(found?["what"]?.string == verdict.reason) }
        }
        if accounts.isEmpty { #expect(findings.contains { $0["what"] == inspection["reason"] }) }

        try await module(desk, row.section, inspection)
    }

    /// The start gate and the status of the module.
    private func module(_ desk: Desk, _ section: String, _ inspection: JSONValue) async throws {
        let plugin = try PluginInstance(
            gateway: Nobody(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, version: "t")
        let configured = await ask(
            plugin, { $0.configure($1, completion: $2) },
            [
                "channel": "fabric", "file": .string(desk.file), "keyPath": "channels.fabric",
                "directory": .string(desk.path), "stateDirectory": .string(desk.path + "/state"),
                "settings": try JSONValue(parsing: section),
            ])
        #expect(configured.code == .ok && configured.json["configured"] == inspection["configured"])
        #expect(configured.json["accounts"] == inspection["accounts"])
        #expect(configured.json["reason"] == inspection["reason"])

        let status = await ask(plugin, { $0.status($1, completion: $2) }, [:]).json["accounts"]?.array ?? []
        let accounts = inspection["accounts"]?.array ?? []
        #expect(status.map { Verdict($0) } == accounts.map { Verdict($0) })
        #expect(status.allSatisfy { $0["running"] == false && $0["connected"] == false })

        for account in accounts {
            guard let id = account["accountId"]?.string, !id.isEmpty else { continue }
            let started = await ask(plugin, { $0.startAccount($1, completion: $2) }, ["accountId": .string(id)])
            let verdict = Verdict(account)
            let mayStart = verdict.enabled == true && verdict.configured == true && verdict.credential == "available"
            #expect((started.code == .ok) == mayStart, "\(started)")
            if mayStart {
                // A running account still says the same of its binding.
                let running = await ask(plugin, { $0.status($1, completion: $2) }, ["accountId": .string(id)])
                let now = running.json["accounts"]?.array?.first ?? .null
                #expect(now["configured"] == account["configured"] && now["credential"] == account["credential"])
                #expect(now["connected"] == false)
            } else {
                #expect(started.json["error"]?.string == verdict.reason)
            }
        }
        await withCheckedContinuation { done in
            Thread.detachNewThread {
                plugin.shutdown()
                done.resume()
            }
        }
    }
}

extension Verdict {
    fileprivate var isOnlyDisabled: Bool { enabled == false && configured == true && credential == "available" }
}
