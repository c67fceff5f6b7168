import FabricAPI
import FabricAccounts
import Foundation
import GatewayControl
import JSONBytes
import Settings

/// `bind` and `unbind`.
public struct Binder {
    let world: SetupWorld
    let file: String
    /// How often a person is asked for the same thing.
    private static let attempts = 5

    /// - Parameter file: the gateway's configuration file, which need not exist yet.
    public init(world: SetupWorld, file: String) {
        self.world = world.concerning(file)
        self.file = file
    }

    /// Looks whether Center is there, proves the key by logging in, then writes it to the identity file. Writes nothing unless
    /// the login succeeds.
    /// - Returns: a ``SetupCode``.
    public func bind(_ order: Order) async -> Int32 {
        do throws(Refusal) {
            let exists = isThere(file)
            var configuration = try readConfiguration()
            try adopt(order.authorities, &configuration)
            try check(order.agent)
            let base = try await centerAddress(order.center, configuration, exists)
            let agent = try agentName(order.agentId)
            let (key, session) = try await provenKey(agent, base, configuration, order)
            try refuseTwin(agent, key, session, configuration)
            try write(agent, key, session, configuration)
            if !exists { try writeConfiguration(base, agent, order) } else { try addAgent(order.agent, agent) }
            report(agent, session, configuration, base, exists, order)
            announce(order.reloads)
            return SetupCode.good
        } catch {
            world.warn(error.words)
            return error.code
        }
    }

    /// Removes an account from the identity file.
    /// - Parameter reloads: whether a running gateway is told.
    /// - Returns: a ``SetupCode``.
    public func unbind(agentId: String, reloads: Bool = true) -> Int32 {
        do throws(Refusal) {
            guard isThere(file) else { throw Refusal(SetupCode.wrong, "\(file): there is no configuration") }
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
            world.tell("Removed \(agentId) from \(configuration.identityFile).")
            if isElsewhere { world.warn(elsewhere) }
            announce(reloads)
            return SetupCode.good
        } catch {
            world.warn(error.words)
            return error.code
        }
    }

    struct Refusal: Error {
        var code: Int32
        var words: String

        init(_ code: Int32, _ words: String) {
            self.code = code
            self.words = words
        }
    }

    func isThere(_ path: String) -> Bool { SecretPresence.system.file(path) != .absent }

    private func readConfiguration() throws(Refusal) -> FabricConfiguration {
        guard isThere(file) else { return FabricConfiguration(file: file, directory: FileText.directory(of: file)) }
        do throws(SettingsErrors) { return try FabricConfiguration.read(gatewayFile: file) } catch {
            throw Refusal(SetupCode.wrong, "Nothing was changed: the configuration must be mended first.\n\(error)")
        }
    }

    /// `--ca` counts as if the configuration had it.
    private func adopt(_ authorities: String?, _ configuration: inout FabricConfiguration) throws(Refusal) {
        guard let authorities else { return }
        let path = absolute(authorities)
        do throws(SettingsError) { _ = try CertificateAuthorities(path: path) } catch {
            throw Refusal(SetupCode.wrong, "Nothing was changed. \(error)")
        }
        if let configured = configuration.certificateAuthorityFile, absolute(configured) != path {
            throw Refusal(
                SetupCode.wrong,
                "\(file) says channels.fabric.certificateAuthorityFile is \(configured), --ca says \(authorities). Leave --ca "
                    + "out, or change the file")
        }
        configuration.certificateAuthorityFile = path
    }

    private func centerAddress(
        _ given: String?, _ configuration: FabricConfiguration, _ exists: Bool
    ) async throws(Refusal) -> String {
        func bare(_ text: String) -> String { text.hasSuffix("/") ? String(text.dropLast()) : text }
        if let given, let configured = configuration.centerApiBase, bare(given) != bare(configured) {
            throw Refusal(
                SetupCode.wrong,
                "\(file) says channels.fabric.centerApiBase is \(configured), --center says \(given). Leave --center out, "
                    + "or change the file")
        }
        if let base = given ?? configuration.centerApiBase {
            try await check(base, configuration)
            return base
        }
        for attempt in 1...Self.attempts {
            guard world.isTerminal,
                let answer = world.ask("Address of Center (e.g. http://localhost:7001/api):", false), !answer.isEmpty
            else { break }
            do throws(Refusal) {
                try await check(answer, configuration)
                return answer
            } catch {
                guard attempt < Self.attempts else { throw error }
                world.warn(error.words)
            }
        }
        let why = exists ? "\(file) does not set channels.fabric.centerApiBase" : "\(file) does not exist yet"
        throw Refusal(SetupCode.wrong, "\(why): give Center's address with --center URL")
    }

    /// Before anybody is asked for a key.
    private func check(_ base: String, _ configuration: FabricConfiguration) async throws(Refusal) {
        if let fault = SettingsSection.addressFault(base) {
            throw Refusal(SetupCode.wrong, "Nothing was written. Center's address: \(fault.problem). \(fault.remedy)")
        }
        world.progress("looking for Center at \(base)")
        defer { world.progress(nil) }
        do { try await world.greet(base, configuration.certificateAuthorityFile) } catch {
            throw Self.refusal(error)
        }
    }

    private static func refusal(_ error: any Error) -> Refusal {
        guard let fabric = (error as? FabricError)?.asked else {
            return Refusal(SetupCode.unreachable, "Nothing was written. \(error)")
        }
        let words = "Nothing was written. \(fabric)"
        switch fabric.kind {
        case .refused: return Refusal(SetupCode.refused, words)
        // Center answers 400 to a key it cannot even read.
        case .rejected(let status, _) where status == 400 || status == 422: return Refusal(SetupCode.refused, words)
        case .local: return Refusal(SetupCode.wrong, words)
        default: return Refusal(SetupCode.unreachable, words)
        }
    }

    private func agentName(_ given: String?) throws(Refusal) -> String {
        if given != nil || !world.isTerminal {
            if let problem = AccountName.problem(given ?? "") {
                throw Refusal(SetupCode.wrong, "\(problem). Give it with --agent-id ID")
            }
            return given ?? ""
        }
        for _ in 1...Self.attempts {
            guard let answer = world.ask("Agent id:", false) else { break }
            guard let problem = AccountName.problem(answer) else { return answer }
            world.warn("\(problem).")
        }
        throw Refusal(SetupCode.wrong, "no agent id was given. Give it with --agent-id ID")
    }

    /// The key, and the session it got. A person who mistyped it is asked again.
    private func provenKey(
        _ agent: String, _ base: String, _ configuration: FabricConfiguration, _ order: Order
    ) async throws(Refusal) -> (Secret, FabricSession) {
        for attempt in 1...Self.attempts {
            let key: Secret
            let isAsked: Bool
            (key, isAsked) = try apiKey(agent, configuration, order)
            do throws(Refusal) { return (key, try await logIn(base, configuration, key)) } catch {
                guard isAsked, error.code == SetupCode.refused, attempt < Self.attempts else { throw error }
                world.warn(error.words)
            }
        }
        throw Refusal(SetupCode.refused, "no key was accepted")
    }

    private func apiKey(
        _ agent: String, _ configuration: FabricConfiguration, _ order: Order
    ) throws(Refusal) -> (key: Secret, isAsked: Bool) {
        var text = world.environment("FABRIC_API_KEY") ?? ""
        // An account that is bound and only lacks somebody who answers need not be asked for its key again.
        if text.isEmpty, order.agent != nil, let known = FabricAccounts(configuration: configuration)[agent]?.apiKey,
            let key = try? known.fetch()
        {
            return (key, false)
        }
        let isAsked = text.isEmpty && world.isTerminal
        if text.isEmpty { text = (isAsked ? world.ask("API key (not shown):", true) : world.readLine()) ?? "" }
        let key = text.split(whereSeparator: \.isWhitespace)
        guard key.count == 1, let only = key.first else {
            let problem = key.isEmpty ? "no API key was given" : "the API key contains white space"
            throw Refusal(SetupCode.wrong, "\(problem). Give it on standard input or in FABRIC_API_KEY")
        }
        return (Secret(String(only)), isAsked)
    }

    private func logIn(
        _ base: String, _ configuration: FabricConfiguration, _ key: Secret
    ) async throws(Refusal) -> FabricSession {
        world.progress("logging in at \(base)")
        defer { world.progress(nil) }
        do { return try await world.login(base, configuration.certificateAuthorityFile, key) } catch {
            throw Self.refusal(error)
        }
    }

    /// Two accounts that are one user of Fabric would both answer whatever that user hears.
    private func refuseTwin(
        _ agent: String, _ key: Secret, _ session: FabricSession, _ configuration: FabricConfiguration
    ) throws(Refusal) {
        let accounts = FabricAccounts(configuration: configuration).accounts
        let twin = accounts.first { account in
            account.accountId != agent && !account.accountId.isEmpty && account.enabled
                && (account.userId == session.user.id || (try? account.apiKey?.fetch()) == key)
        }
        guard let twin else { return }
        let id = ShellText.quote(twin.accountId)
        throw Refusal(
            SetupCode.wrong,
            "Nothing was written. The key is that of the account \(twin.accountId), which is bound already: both would answer "
                + "each message. Use a key of \(agent)'s own, or first: `setup unbind --agent-id \(id)`")
    }

    private func write(
        _ agent: String, _ key: Secret, _ session: FabricSession, _ configuration: FabricConfiguration
    ) throws(Refusal) {
        let path = configuration.identityFile
        let binding = IdentityBinding(
            agentId: agent, apiKey: key, userId: session.user.id, email: session.user.email)
        do throws(SettingsError) {
            let outcome = try IdentityWriter(path: path).bind(binding)
            world.tell("\(outcome == .replaced ? "Replaced" : "Added") \(agent) in \(path).")
        } catch { throw Refusal(SetupCode.wrong, "The key is good, but nothing was written. \(error)") }
    }

    private func report(
        _ agent: String, _ session: FabricSession, _ configuration: FabricConfiguration, _ base: String, _ exists: Bool,
        _ order: Order
    ) {
        let who = session.user.email ?? session.user.name ?? session.user.id
        let guilds = session.guilds.map(\.nodeId)
        world.tell(
            "Center knows the key as \(who), member of \(guilds.isEmpty ? "no guild" : guilds.joined(separator: ", "))."
        )
        if exists, configuration.centerApiBase == nil {
            world.tell("Add to \(file), under channels.fabric:  \"centerApiBase\": \"\(base)\"")
        }
        if exists, order.authorities != nil, let path = configuration.certificateAuthorityFile {
            world.tell("It must stand in \(file), under channels.fabric:  \"certificateAuthorityFile\": \"\(path)\"")
        }
        for finding in AgentChecks(file: file).unanswered([agent]) {
            world.warn("\(finding.place): \(finding.what). \(finding.remedy)")
        }
        if let account = configuration.accounts.first(where: { $0.accountId == agent }) {
            if account.apiKey != nil {
                world.warn(
                    "\(file) names a key for \(agent) too (\(account.keyPath).fabricApiKey). Remove it there: two keys for "
                        + "one account stop the account")
            } else if !account.enabled {
                world.warn("\(agent) is disabled in \(file) (\(account.keyPath).enabled)")
            }
        }
    }

    /// Has a running gateway take the change up, or says how one does.
    private func announce(_ reloads: Bool) {
        let command = "`gateway reload`"
        guard reloads, let state = ConfigurationCheck.stateDirectory(of: file) else {
            return world.tell("A running gateway takes it up with: \(command)")
        }
        world.progress("telling the gateway")
        switch world.askGateway(state, ["command": "reload"]) {
        case .result: world.tell("The running gateway has taken it up.")
        case .noGateway:
            world.tell("No gateway runs now. Start one with: `gateway run`")
        case .failed(let words):
            let end = words.hasSuffix(".") ? "" : "."
            world.warn("The running gateway could not take it up: \(words)\(end) Then: \(command)")
        }
    }
}
