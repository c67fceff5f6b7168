import FabricAPI
import FabricAccounts
import Foundation
import GatewayControl
import JSONBytes
import Settings

/// `bind` and `unbind`.
public struct Binder {
    private let world: SetupWorld
    private let file: String

    /// - Parameter file: the gateway's configuration file, which need not exist yet.
    public init(world: SetupWorld, file: String) {
        self.world = world
        self.file = file
    }

    /// Proves the key by logging in, then writes it to the identity file. Writes nothing unless the login succeeds.
    /// - Parameters:
    ///   - agentId: asked for on a terminal if nil.
    ///   - center: Center's address, if the configuration does not have it yet.
    ///   - reloads: whether a running gateway is told.
    /// - Returns: a ``SetupCode``.
    public func bind(agentId: String?, center: String?, reloads: Bool = true) async -> Int32 {
        do throws(Refusal) {
            let exists = isThere(file)
            let configuration =
                try exists
                ? readConfiguration()
                : FabricConfiguration(
                    file: file, directory: FileText.directory(of: file))
            let base = try centerAddress(center, configuration, exists)
            let agent = try agentName(agentId)
            let key = try apiKey()
            let session = try await logIn(base, configuration, key)
            try write(agent, key, session, configuration)
            if !exists { try writeConfiguration(base, agent) }
            report(agent, session, configuration, base, exists)
            announce(reloads)
            return SetupCode.good
        } catch {
            world.complain(error.words)
            return error.code
        }
    }

    /// Removes an account from the identity file.
    /// - Parameter reloads: whether a running gateway is told.
    /// - Returns: a ``SetupCode``.
    public func unbind(agentId: String, reloads: Bool = true) -> Int32 {
        do throws(Refusal) {
            let configuration = try readConfiguration()
            let isElsewhere = configuration.accounts.contains { $0.accountId == agentId && $0.apiKey != nil }
            let elsewhere = """
                \(agentId) has a key in \(file) (channels.fabric.accounts) too; this command does not change that file. \
                Remove it there
                """
            let outcome: IdentityWriter.Outcome
            do throws(SettingsError) {
                outcome =
                    isThere(configuration.identityFile)
                    ? try IdentityWriter(path: configuration.identityFile).unbind(agentId) : .unchanged
            } catch { throw Refusal(SetupCode.wrong, "Nothing was changed. \(error)") }
            guard outcome == .removed else {
                let words = isElsewhere ? elsewhere : "\(agentId) is not bound in \(configuration.identityFile)"
                throw Refusal(SetupCode.refused, words)
            }
            world.say("Removed \(agentId) from \(configuration.identityFile).")
            if isElsewhere { world.complain(elsewhere) }
            announce(reloads)
            return SetupCode.good
        } catch {
            world.complain(error.words)
            return error.code
        }
    }

    private struct Refusal: Error {
        var code: Int32
        var words: String

        init(_ code: Int32, _ words: String) {
            self.code = code
            self.words = words
        }
    }

    private func isThere(_ path: String) -> Bool { SecretPresence.system.file(path) != .absent }

    private func readConfiguration() throws(Refusal) -> FabricConfiguration {
        guard isThere(file) else { return FabricConfiguration(file: file, directory: FileText.directory(of: file)) }
        do throws(SettingsErrors) { return try FabricConfiguration.read(gatewayFile: file) } catch {
            throw Refusal(SetupCode.wrong, "Nothing was changed: the configuration must be mended first.\n\(error)")
        }
    }

    private func centerAddress(
        _ given: String?, _ configuration: FabricConfiguration, _ exists: Bool
    ) throws(Refusal) -> String {
        func bare(_ text: String) -> String { text.hasSuffix("/") ? String(text.dropLast()) : text }
        if let given, let configured = configuration.centerApiBase, bare(given) != bare(configured) {
            throw Refusal(
                SetupCode.wrong,
                "\(file) says channels.fabric.centerApiBase is \(configured), --center says \(given). Leave --center out, "
                    + "or change the file")
        }
        if let base = given ?? configuration.centerApiBase { return base }
        if world.isTerminal, let answer = world.ask("Address of Center (e.g. http://localhost:7001/api):", false),
            !answer.isEmpty
        {
            return answer
        }
        let why = exists ? "\(file) does not set channels.fabric.centerApiBase" : "\(file) does not exist yet"
        throw Refusal(SetupCode.wrong, "\(why): give Center's address with --center URL")
    }

    private func agentName(_ given: String?) throws(Refusal) -> String {
        let name = given ?? (world.isTerminal ? world.ask("Agent id:", false) : nil) ?? ""
        if let problem = AccountName.problem(name) {
            throw Refusal(SetupCode.wrong, "\(problem). Give it with --agent-id ID")
        }
        return name
    }

    private func apiKey() throws(Refusal) -> Secret {
        var text = world.environment("FABRIC_API_KEY") ?? ""
        if text.isEmpty {
            text = (world.isTerminal ? world.ask("API key (not shown):", true) : world.readLine()) ?? ""
        }
        let key = text.split(whereSeparator: \.isWhitespace)
        guard key.count == 1, let only = key.first else {
            let problem = key.isEmpty ? "no API key was given" : "the API key contains white space"
            throw Refusal(SetupCode.wrong, "\(problem). Give it on standard input or in FABRIC_API_KEY")
        }
        return Secret(String(only))
    }

    private func logIn(
        _ base: String, _ configuration: FabricConfiguration, _ key: Secret
    ) async throws(Refusal) -> FabricSession {
        world.progress("logging in at \(base)")
        defer { world.progress(nil) }
        do { return try await world.login(base, configuration.certificateAuthorityFile, key) } catch {
            let words = "Nothing was written. \(error)"
            guard let fabric = error as? FabricError else { throw Refusal(SetupCode.unreachable, words) }
            switch fabric.kind {
            case .refused: throw Refusal(SetupCode.refused, words)
            // Center answers 400 to a key it cannot even read.
            case .rejected(let status, _) where status == 400 || status == 422: throw Refusal(SetupCode.refused, words)
            case .local: throw Refusal(SetupCode.wrong, words)
            default: throw Refusal(SetupCode.unreachable, words)
            }
        }
    }

    private func write(
        _ agent: String, _ key: Secret, _ session: FabricSession, _ configuration: FabricConfiguration
    ) throws(Refusal) {
        let path = configuration.identityFile
        let binding = IdentityBinding(
            agentId: agent, apiKey: key, userId: session.user.id, email: session.user.email)
        do throws(SettingsError) {
            let outcome = try IdentityWriter(path: path).bind(binding)
            world.say("\(outcome == .replaced ? "Replaced" : "Added") \(agent) in \(path).")
        } catch { throw Refusal(SetupCode.wrong, "The key is good, but nothing was written. \(error)") }
    }

    /// The plugin this tool belongs to: as the setup scripts tell it, or the one of the folder it is installed in.
    private var manifest: String {
        var path = world.environment("FABRIC_SETUP_MANIFEST") ?? ""
        if path.isEmpty { path = FileText.directory(of: realPath("/proc/self/exe")) + "/plugin.json" }
        guard isThere(path) else { return "./plugin.json" }
        let mine = realPath(FileText.directory(of: file))
        return mine == realPath(FileText.directory(of: path)) ? "./plugin.json" : path
    }

    private func realPath(_ path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// A first configuration, with which `gateway run` works at once.
    private func writeConfiguration(_ base: String, _ agent: String) throws(Refusal) {
        func text(_ value: String) -> String { String(decoding: JSONValue.string(value).serialized, as: UTF8.self) }
        let content = """
            {
              "stateDirectory": "./state",
              "plugins": { "fabric": { "manifest": \(text(manifest)), "enabled": true } },
              "channels": {
                "fabric": { "enabled": true, "centerApiBase": \(text(base)), "identityFile": "./fabric-identity.json" }
              },
              // The agent of the account's name answers. This one repeats what it hears; put your own command here.
              "agents": { \(text(agent)): { "builtin": "echo" } }
            }

            """
        do throws(SettingsError) {
            try IdentityWriter.create(file, Array(content.utf8))
            world.say("Wrote \(file), with an agent that only repeats what it hears.")
        } catch { throw Refusal(SetupCode.wrong, "\(error)") }
    }

    private func report(
        _ agent: String, _ session: FabricSession, _ configuration: FabricConfiguration, _ base: String, _ exists: Bool
    ) {
        let who = session.user.email ?? session.user.name ?? session.user.id
        let guilds = session.guilds.map(\.nodeId)
        world.say(
            "Center knows the key as \(who), member of \(guilds.isEmpty ? "no guild" : guilds.joined(separator: ", "))."
        )
        if exists, configuration.centerApiBase == nil {
            world.say("Add to \(file), under channels.fabric:  \"centerApiBase\": \"\(base)\"")
        }
        for finding in AgentChecks(file: file).unanswered([agent]) {
            world.complain("\(finding.place): \(finding.what). \(finding.remedy)")
        }
        if let account = configuration.accounts.first(where: { $0.accountId == agent }) {
            if account.apiKey != nil {
                world.complain(
                    "\(file) names a key for \(agent) too (\(account.keyPath).fabricApiKey). Remove it there: two keys for "
                        + "one account stop the account")
            } else if !account.enabled {
                world.complain("\(agent) is disabled in \(file) (\(account.keyPath).enabled)")
            }
        }
    }

    /// Has a running gateway take the change up, or says how one does.
    private func announce(_ reloads: Bool) {
        let command = "gateway reload --config \(file)"
        guard reloads, let state = ConfigurationCheck.stateDirectory(of: file) else {
            return world.say("A running gateway takes it up with: \(command)")
        }
        world.progress("telling the gateway")
        switch world.askGateway(state, ["command": "reload"]) {
        case .result: world.say("The running gateway has taken it up.")
        case .noGateway:
            world.say("No gateway runs now. Start one with: gateway run --config \(file)  (or ./setup gateway run …)")
        case .failed(let words):
            world.complain("The running gateway could not take it up: \(words). Then: \(command)")
        }
    }
}
