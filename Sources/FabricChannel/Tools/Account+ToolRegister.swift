import FabricAPI
import FabricAccounts
import FabricTools
import JSONBytes
import Settings

/// Where an account's key stands, for the tool that renews it.
struct KeyPlace: Sendable, Equatable {
    var center: String
    var identityFile: String
    /// In words.
    var source: String
    /// It stands in the identity file and not in the configuration.
    var isInIdentityFile: Bool
}

extension Account {
    /// Writes a newer key of the account's own user. A key of somebody else is none: the tool acts as this account only.
    func renewKey(_ call: ToolCall) async throws -> JSONValue {
        guard let place = facts.keyPlace, place.isInIdentityFile else {
            throw ToolFailure(
                .notConfigured,
                "the key of account \(id) does not stand in the identity file (\(facts.keyPlace?.source ?? "unknown")); "
                    + "change it where it stands")
        }
        let key = call.arguments.need("apiKey")
        let session = try await login(with: key, at: place.center)
        guard !inbox.user.isEmpty, session.user.id == inbox.user else {
            throw ToolFailure(
                .refused, "the key is that of another Fabric user than account \(id); nothing was written",
                argument: "apiKey")
        }
        let binding = IdentityBinding(
            agentId: id, apiKey: Secret(key), userId: session.user.id, email: session.user.email)
        let path = place.identityFile
        let outcome = await Task.detached { () -> Result<Void, SettingsError> in
            Result { () throws(SettingsError) in _ = try IdentityWriter(path: path).bind(binding) }
        }.value
        if case .failure(let error) = outcome {
            throw ToolFailure(.failed, "\(path) was not changed: \(error.problem). \(error.remedy)")
        }
        return [
            "fabricUserId": .string(session.user.id), "displayName": text(session.user.name ?? session.user.email),
            "takesEffect": "with the next reload of the gateway's settings",
        ]
    }

    private func login(with key: String, at center: String) async throws(ToolFailure) -> FabricSession {
        do throws(FabricError) {
            return try await FabricCenter(base: center, http: environment.http).login(apiKey: key)
        } catch {
            guard error.isRefusedToken else { throw ToolFailure(error, reads: false) }
            throw ToolFailure(
                .refused, "Center does not take this key; nothing was written: \(error.operatorText)",
                argument: "apiKey")
        }
    }
}
