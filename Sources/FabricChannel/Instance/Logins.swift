import FabricAPI
import FabricAccounts
import HTTPTransfer
import Locking
import Sessions
import Settings

/// Who logs in where, and with what. `Sessions` asks here at every login, so that a new configuration needs no new sessions.
final class Logins: Sendable {
    private struct State {
        var plans: [String: LoginPlan] = [:]
        var transfer: HTTPTransfer?
        /// With what each account logged in last, or tried to.
        var used: [String: CredentialFingerprint] = [:]
    }

    private let state = Locked(State())

    /// Takes over the plans of a configuration.
    func adopt(_ plans: [String: LoginPlan]) { state.withLock { $0.plans = plans } }

    /// Logins go this way from now on.
    func use(_ transfer: HTTPTransfer) { state.withLock { $0.transfer = transfer } }

    /// Whether what is known of the account's session came from other credentials than these.
    func isOutdated(_ account: String, by credentials: CredentialFingerprint?) -> Bool {
        let used = state.withLock { $0.used[account] }
        guard let used, let credentials else { return false }
        return used != credentials
    }

    /// Logs an account in.
    func login(_ account: String) async throws -> FabricSession {
        let (plan, transfer) = state.withLock { ($0.plans[account], $0.transfer) }
        guard let plan, let transfer else {
            throw LoginFailure.refused(reason: "the account is no longer configured")
        }
        // A key that is not at hand may come back (a file being replaced): a passing failure, with its reason.
        let key = try plan.key.fetch()
        let used = CredentialFingerprint(key: key, center: plan.center)
        state.withLock { $0.used[account] = used }
        return try await FabricCenter(base: plan.center, http: transfer).login(apiKey: key.reveal())
    }
}

/// One account's way to a session: where it logs in, and where its key is. The key is fetched at every login.
struct LoginPlan: Sendable {
    var center: String
    var key: SecretSource
}
