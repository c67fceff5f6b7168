import HTTPTransfer
import JSONBytes

/// Center: who is logged in, and which guilds there are.
public struct FabricCenter: Sendable {
    /// The checked base, without a slash at the end.
    public let base: String
    private let call: FabricCall
    private let authority: String

    /// - Parameter base: `centerApiBase`, with `/api`, e.g. `http://localhost:7001/api`.
    /// - Throws: `.local` if it is not an http or https URL without user information, query and fragment.
    public init(base: String, http: HTTPTransfer) throws(FabricError) {
        let operation = FabricOperation(
            name: "reading Center's address", place: "the configuration", isRepeatable: true, secrets: [],
            refusalRemedy: "Set channels.fabric.centerApiBase to a URL like http://localhost:7001/api.")
        let (checked, origin) = try FabricCall.base(base, operation)
        self.base = checked
        authority = origin.authority
        call = FabricCall(http: http, base: checked)
    }

    private func operation(_ name: String, _ secret: String, _ remedy: String) -> FabricOperation {
        FabricOperation(
            name: name, place: "Center (\(authority))", isRepeatable: true, secrets: [secret], refusalRemedy: remedy,
            answersWithSecrets: true)
    }

    /// Logs an agent in with its API key. A key that is not accepted gives `.refused`.
    public func login(apiKey: String) async throws(FabricError) -> FabricSession {
        let operation = operation(
            "logging in", apiKey, "Check the agent's API key; Center's `user apikey` makes a new one.")
        var body = JSONWriter()
        body.beginObject()
        body.key(FabricSpelling.apiKey)
        body.string(apiKey)
        body.endObject()
        let answer: [UInt8]
        do throws(FabricError) {
            answer = try await call.send(operation, .post, FabricSpelling.loginPath, body: body.bytes)
        } catch {
            throw await explained(error)
        }
        guard let session = FabricSession(reading: try FabricCall.value(answer, operation)) else {
            throw operation.malformed("the answer lacks the access token or the user's id", answer)
        }
        return session
    }

    /// Whether there is a Center at the address at all: asks for a login without a key, which a Center refuses.
    /// - Throws: if it cannot be reached, or if there is no login; the remedy names the right address if it can be guessed.
    public func check() async throws(FabricError) {
        let operation = operation("looking for Center", "", "Check Center's address.")
        do throws(FabricError) {
            let answer = try await call.send(operation, .post, FabricSpelling.loginPath, body: Array("{}".utf8))
            _ = try FabricCall.value(answer, operation)
        } catch {
            switch error.kind {
            case .refused where !error.isOfAGuild: return
            case .rejected(status: 400, _), .rejected(status: 422, _), .passing(status: 429, _): return
            default: throw await explained(error)
            }
        }
    }

    /// A login that is not there is nearly always an address that is not quite right; the likeliest slip is tried.
    private func explained(_ error: FabricError) async -> FabricError {
        var error = error
        if error.isOfAGuild, case .refused(let status) = error.kind {
            // Nothing was said about the key: whoever answered knows none.
            error.kind = .rejected(status: status, code: nil)
            error.speaksOfCredential = false
            error.remedy = """
                \(base) is a guild, and guilds have no login: set channels.fabric.centerApiBase (--center) to Center's \
                address (its port is 7001 unless set otherwise, a guild's 7002).
                """
            return error
        }
        guard case .rejected(status: 404, _) = error.kind else { return error }
        error.remedy = """
            There is no Center at \(base): check host, port (Center's is 7001 unless set otherwise, a guild's 7002) and path \
            (it ends with \(FabricSpelling.prefix)).
            """
        guard !base.hasSuffix(FabricSpelling.prefix) else { return error }
        let right = base + FabricSpelling.prefix
        let operation = operation("looking for Center", "", "")
        let call = FabricCall(http: call.http, base: right)
        var isThere = false
        do throws(FabricError) {
            // Without the key: it is nobody's business but Center's.
            _ = try await call.send(operation, .post, FabricSpelling.loginPath, body: Array("{}".utf8))
            isThere = true
        } catch {
            switch error.kind {
            case .refused where !error.isOfAGuild: isThere = true
            case .rejected(status: 400, _), .rejected(status: 422, _): isThere = true
            default: break
            }
        }
        if isThere { error.remedy = "Center is at \(right): set channels.fabric.centerApiBase (--center) to that." }
        return error
    }
}
