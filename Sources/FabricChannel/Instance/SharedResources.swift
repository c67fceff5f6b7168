import ChannelStore
import FabricAPI
import FabricAccounts
import Foundation
import HTTPTransfer
import Locking
import Logging
import Sessions
import SocketIO
import Timing

/// What the accounts of an instance share: transfers, sessions, and where attachments go.
///
/// Sessions live as long as the instance. Transfers depend on the authorities; a reload that changes these makes a new one
/// for the accounts that start afterwards, and the old one serves those that still run.
final class SharedResources: Sendable {
    /// A session of an account that stopped, for the case that it starts again at once.
    private struct Kept {
        var session: SessionSnapshot
        var since: ContinuousClock.Instant
    }

    private let loop: RealtimeLoop
    private let gateway: any GatewayPort
    private let logger: Logger
    private let logins: Logins
    private let sessions: Sessions
    /// By the path of the authorities, empty for the system's.
    private let transfers: Locked<[String: HTTPTransfer]>
    private let kept: Locked<[String: Kept]>
    /// When it is looked for those that were kept too long. Not whenever one is kept: many accounts stop in one moment.
    private let nextSweep = Locked(ContinuousClock.now)
    private let mediaRoot: Locked<String?>
    /// Directories of attachments that belong to another instance now.
    private let handedOverMedia: Locked<Swift.Set<String>>
    private let board = GuildBoard()
    private let gate: ConnectGate
    private let buffer = DeliveryBuffer()
    private let subDiscussions = SubDiscussions()

    init(loop: RealtimeLoop, gateway: any GatewayPort, logger: Logger) {
        self.loop = loop
        self.gateway = gateway
        self.logger = logger
        let logins = Logins()
        self.logins = logins
        let defaults = FabricConfiguration()
        gate = ConnectGate(loop: loop, limit: defaults.connectsAtOnce)
        // How many it starts in a second is counted from here: what the instance before this one started is not in it. Accounts
        // that are handed over bring their sessions along, so that there is little to start.
        sessions = Sessions(configuration: .init(loginsPerSecond: defaults.loginsPerSecond)) { account in
            try await logins.login(account)
        }
        transfers = Locked([:])
        kept = Locked([:])
        mediaRoot = Locked(nil)
        handedOverMedia = Locked([])
    }

    /// Takes over who logs in where, and with what. It logs nobody in or out: an account whose credentials changed does
    /// that when it starts, see ``environment(for:account:)``.
    func adopt(_ setup: InstanceSetup) {
        logins.adopt(setup.logins)
        sessions.setSoftLifetime(.seconds(setup.sessionSeconds))
        sessions.setLoginsPerSecond(setup.loginsPerSecond)
        gate.setLimit(setup.connectsAtOnce)
        let known = Swift.Set(setup.accounts.accounts.map(\.accountId))
        kept.withLock { $0 = $0.filter { known.contains($0.key) } }
        mediaRoot.withLock { root in
            if root == nil { root = InstanceMedia.make(below: setup.stateDirectory) }
        }
    }

    /// What an account that starts needs, under the settings in force.
    func environment(
        for setup: InstanceSetup, account: String, store: any ChannelStore, agents: AgentDirectory,
        commands: CommandCatalogue, lease: LeaseGuard?
    ) throws(RequestProblem) -> AccountEnvironment {
        let transfer = try transfer(for: setup)
        logins.use(transfer)
        restoreSession(of: account, under: setup)
        return AccountEnvironment(
            gateway: gateway, sessions: sessions, http: transfer, loop: loop, store: store, lease: lease, board: board,
            gate: gate, agents: agents, commands: commands, buffer: buffer, subDiscussions: subDiscussions,
            logger: logger,
            mediaDirectory: mediaRoot.withLock { $0 } ?? NSTemporaryDirectory(),
            outboxDirectory: setup.outboxDirectory,
            wallClock: { SystemClock.wall },
            seed: { UInt64.random(in: .min ... .max) })
    }

    private func transfer(for setup: InstanceSetup) throws(RequestProblem) -> HTTPTransfer {
        let path = setup.authoritiesPath
        if let known = transfers.withLock({ $0[path ?? ""] }) { return known }
        let made: HTTPTransfer
        do {
            if let path, let authorities = setup.authorities { try Self.keep(authorities, at: path) }
            var configuration = HTTPTransfer.Configuration()
            configuration.certificateAuthorityFile = path
            made = try HTTPTransfer(configuration: configuration)
        } catch {
            throw RequestProblem(
                .unavailable, "HTTP transfers cannot start: \(error)", at: "channels.fabric",
                remedy: "check the state directory \(setup.stateDirectory) and the limits of this process",
                retryable: true)
        }
        transfers.withLock { $0[path ?? ""] = made }
        return made
    }

    /// Writes the authorities where transfers and sockets find them.
    private static func keep(_ authorities: CertificateAuthorities, at path: String) throws {
        let url = URL(fileURLWithPath: path)
        if let there = try? Data(contentsOf: url), there.elementsEqual(authorities.pem) { return }
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        try Data(authorities.pem).write(to: url, options: .atomic)
    }

    // MARK: Sessions

    /// How long a session waits for its account to start again. A restart takes a few seconds.
    private static let keeping: Duration = .seconds(120)

    /// An account stopped; if it starts again soon with the same credentials, it need not log in.
    func keep(_ session: SessionSnapshot?, of account: String) {
        let now = ContinuousClock.now
        let isSweeping = nextSweep.withLock { next in
            guard now >= next else { return false }
            next = now.advanced(by: Self.keeping / 8)
            return true
        }
        kept.withLock { kept in
            if isSweeping { kept = kept.filter { now < $0.value.since.advanced(by: Self.keeping) } }
            kept[account] = session.map { Kept(session: $0, since: now) }
        }
    }

    private func restoreSession(of account: String, under setup: InstanceSetup) {
        let kept = kept.withLock { $0.removeValue(forKey: account) }
        guard !logins.isOutdated(account, by: setup.fingerprints[account]) else {
            // Whatever is left of the old credentials, a block above all, does not concern the new ones.
            return sessions.credentialsChanged(account)
        }
        if let kept, ContinuousClock.now < kept.since.advanced(by: Self.keeping) {
            sessions.importSnapshot(account, kept.session)
        }
    }

    /// The operator asks to try a refused account again.
    func unblock(_ account: String) { sessions.unblock(account) }

    /// The same for all that are refused.
    /// - Returns: which these are.
    func unblockAll() -> [String] { sessions.unblockAll() }

    /// Logins begun since the start, and agents with a session.
    var statistics: (logins: Int, sessions: Int) {
        let statistics = sessions.statistics
        return (statistics.logins, statistics.total)
    }

    /// Another instance goes on with an account: what its turns and messages use stays when this one ends.
    func handOver(media directories: Swift.Set<String>) { handedOverMedia.withLock { $0.formUnion(directories) } }

    /// Ends transfers and sessions, and removes the attachments, but for those that were handed over.
    func shutdown() async {
        await sessions.shutdown()
        let ended = transfers.withLock { transfers in
            defer { transfers = [:] }
            return Array(transfers.values)
        }
        for transfer in ended {
            await BlockingCall.run { transfer.shutdown() }
        }
        if let root = mediaRoot.withLock({ $0 }) {
            InstanceMedia.remove(root, keeping: handedOverMedia.withLock { $0 })
        }
    }
}

/// The directory of one instance's attachments, below the state directory.
enum InstanceMedia {
    /// Names the new directory and removes what processes that are gone have left.
    static func make(below stateDirectory: String) -> String {
        let base = stateDirectory + "/media"
        for name in (try? FileManager.default.contentsOfDirectory(atPath: base)) ?? [] {
            guard let owner = name.split(separator: "-").first.flatMap({ pid_t($0) }) else { continue }
            let isGone = owner != getpid() && kill(owner, 0) != 0 && errno == ESRCH
            if isGone { try? FileManager.default.removeItem(atPath: base + "/" + name) }
        }
        return "\(base)/\(getpid())-\(UUID().uuidString.lowercased())"
    }

    /// Removes an instance's directory. What is kept is removed by whoever uses it, and the directory with the last.
    static func remove(_ root: String, keeping kept: Set<String>) {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        where !kept.contains(root + "/" + name) {
            try? FileManager.default.removeItem(atPath: root + "/" + name)
        }
        rmdir(root)
    }
}
