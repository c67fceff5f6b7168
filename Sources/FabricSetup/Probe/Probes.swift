import FabricAccounts
import Locking
import Settings

/// Looks with the keys of several accounts, side by side: it takes no longer than the slowest.
struct Probes {
    enum Outcome: Sendable {
        case seen(SetupProbe)
        case failed(SetupProbe.Trouble)

        /// Whether something in it does not work.
        var isBad: Bool {
            switch self {
            case .failed: true
            case .seen(let probe): probe.guilds.contains { $0.trouble != nil || $0.socket?.trouble != nil }
            }
        }
    }

    let world: SetupWorld
    let configuration: FabricConfiguration
    let opensSockets: Bool

    /// So many at once; each has a connection to Center and to every guild.
    private static let width = 32

    /// The outcome of every account that may start, by its id.
    func look(_ accounts: FabricAccounts) async -> [String: Outcome] {
        guard let center = configuration.centerApiBase else { return [:] }
        let waiting = accounts.accounts.filter { $0.mayStart && $0.apiKey != nil }
        let done = Locked(0)
        defer { world.progress(nil) }
        return await withTaskGroup(of: (String, Outcome).self) { group in
            var outcomes: [String: Outcome] = [:]
            var rest = waiting[...]
            func next() {
                guard let account = rest.popFirst(), let source = account.apiKey else { return }
                group.addTask {
                    let outcome = await self.look(account.accountId, center, source, done, of: waiting.count)
                    done.withLock { $0 += 1 }
                    return (account.accountId, outcome)
                }
            }
            for _ in 0..<Self.width { next() }
            for await (id, outcome) in group {
                outcomes[id] = outcome
                next()
            }
            return outcomes
        }
    }

    private func look(
        _ account: String, _ center: String, _ source: SecretSource, _ done: Locked<Int>, of all: Int
    ) async -> Outcome {
        do {
            var request = SetupWorld.ProbeRequest(
                center: center, authorities: configuration.certificateAuthorityFile, key: try source.fetch(),
                opensSockets: opensSockets)
            request.step = { [world] step in
                let count = all > 1 ? "\(done.withLock { $0 }) of \(all) accounts done; " : ""
                world.progress("\(count)\(account): \(step)")
            }
            return .seen(try await world.probe(request))
        } catch let error as SecretSource.Unavailable {
            return .failed(SetupProbe.Trouble(error.problem, remedy: error.remedy))
        } catch { return .failed(SetupProbe.Trouble(error)) }
    }
}
