import ChannelStore
import FabricAPI
import Foundation
import HTTPTransfer
import Locking
import Logging
import Sessions
import SocketIO

/// What the accounts of an instance share: transfers, sessions, and where attachments go.
///
/// Transfers and sessions depend on a few settings; a reload that changes one of these makes a new set for the accounts
/// that start afterwards, and the old set serves those that still run.
final class SharedResources: Sendable {
    private struct Key: Hashable {
        var certificateAuthorityFile: String?
        var sessionSeconds: Double
    }

    private struct Set {
        var http: HTTPTransfer
        var sessions: Sessions
    }

    private let loop: RealtimeLoop
    private let gateway: any GatewayPort
    private let logger: Logger
    private let logins: Locked<[String: LoginPlan]>
    private let sets: Locked<[Key: Set]>
    private let mediaRoot: Locked<String?>
    /// Directories of attachments that belong to another instance now.
    private let handedOverMedia: Locked<Swift.Set<String>>
    private let board = GuildBoard()

    init(loop: RealtimeLoop, gateway: any GatewayPort, logger: Logger) {
        self.loop = loop
        self.gateway = gateway
        self.logger = logger
        logins = Locked([:])
        sets = Locked([:])
        mediaRoot = Locked(nil)
        handedOverMedia = Locked([])
    }

    /// Takes over who logs in where, and with what.
    func adopt(_ setup: ChannelSetup) {
        logins.withLock { $0 = setup.logins }
        mediaRoot.withLock { root in
            if root == nil { root = InstanceMedia.make(below: setup.stateDirectory) }
        }
    }

    /// What an account needs, under the settings in force.
    func environment(
        for setup: ChannelSetup, store: any ChannelStore, agents: AgentDirectory
    ) throws(ChannelProblem) -> AccountEnvironment {
        let set = try resources(for: setup)
        return AccountEnvironment(
            gateway: gateway, sessions: set.sessions, http: set.http, loop: loop, store: store, board: board,
            agents: agents, logger: logger,
            mediaDirectory: mediaRoot.withLock { $0 } ?? NSTemporaryDirectory(),
            outboxDirectory: setup.stateDirectory + "/outbox",
            wallClock: { Date().timeIntervalSince1970 },
            seed: { UInt64.random(in: .min ... .max) })
    }

    private func resources(for setup: ChannelSetup) throws(ChannelProblem) -> Set {
        let key = Key(
            certificateAuthorityFile: setup.certificateAuthorityFile, sessionSeconds: setup.sessionSeconds)
        if let known = sets.withLock({ $0[key] }) { return known }
        let http: HTTPTransfer
        do {
            var configuration = HTTPTransfer.Configuration()
            configuration.certificateAuthorityFile = key.certificateAuthorityFile
            http = try HTTPTransfer(configuration: configuration)
        } catch {
            throw ChannelProblem(
                .unavailable, "HTTP transfers cannot start: \(error)", at: "channels.fabric",
                remedy: "check certificateAuthorityFile and the limits of this process", retryable: true)
        }
        let sessions = Sessions(
            configuration: .init(softLifetime: .seconds(key.sessionSeconds)),
            login: { [weak self] agent in
                guard let plan = self?.logins.withLock({ $0[agent] }) else {
                    throw LoginFailure.refused(reason: "the account is no longer configured")
                }
                return try await plan.login(over: http)
            })
        let made = Set(http: http, sessions: sessions)
        sets.withLock { $0[key] = made }
        return made
    }

    private var all: [Set] { sets.withLock { Array($0.values) } }

    /// The account's key changed: what is cached for it is forgotten.
    func credentialsChanged(_ account: String) {
        for set in all { set.sessions.credentialsChanged(account) }
    }

    /// The operator asks to try a refused account again.
    func unblock(_ account: String) {
        for set in all { set.sessions.unblock(account) }
    }

    /// Logins begun since the start, and agents with a session.
    var statistics: (logins: Int, sessions: Int) {
        let parts = all.map(\.sessions.statistics)
        return (parts.reduce(0) { $0 + $1.logins }, parts.reduce(0) { $0 + $1.total })
    }

    /// Another instance goes on with an account: what its turns and messages use stays when this one ends.
    func handOver(media directories: Swift.Set<String>) { handedOverMedia.withLock { $0.formUnion(directories) } }

    /// Ends transfers and sessions, and removes the attachments, but for those that were handed over.
    func shutdown() async {
        let ended = sets.withLock { sets in
            defer { sets = [:] }
            return Array(sets.values)
        }
        for set in ended {
            await set.sessions.shutdown()
            // It waits for its thread, which a thread of the pool must not do.
            await withCheckedContinuation { done in
                Thread.detachNewThread {
                    set.http.shutdown()
                    done.resume()
                }
            }
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
