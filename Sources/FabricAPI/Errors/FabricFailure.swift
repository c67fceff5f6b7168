import HTTPTransfer
import JSONBytes

/// What is being done and where, for errors; and the one place where failures are judged.
struct FabricOperation: Sendable {
    /// E.g. `posting a message`.
    var name: String
    /// E.g. `guild sim-guild-1, channel 8c1f… (localhost:7002)`.
    var place: String
    /// Repeating it does no harm, so an unknown outcome is merely a passing failure.
    var isRepeatable: Bool
    /// What must not be repeated in an error.
    var secrets: [String]
    /// What helps against a refusal.
    var refusalRemedy: String
    /// A successful answer holds tokens, so nothing of it is ever shown.
    var answersWithSecrets = false

    func error(_ kind: FabricError.Kind, _ words: String?, _ remedy: String) -> FabricError {
        let clean = words.map { Redaction.clean($0, secrets: secrets) }
        return FabricError(
            kind: kind, operation: name, place: place, serverWords: clean?.isEmpty == true ? nil : clean, remedy: remedy
        )
    }

    // MARK: - An answer that is no success

    func failure(_ response: HTTPResponse) -> FabricError {
        let body = try? JSONValue(parsing: response.body)
        let words = Self.words(body) ?? String(decoding: response.body.prefix(8 << 10), as: UTF8.self)
        switch response.status {
        case 401, 403:
            var refusal = error(.refused(status: response.status), words, refusalRemedy)
            refusal.speaksOfCredential = Self.speaksOfCredential(body, words)
            return refusal
        case 408, 425, 429, 500...:
            let wait = response.retryAfter.map { " after \($0)" } ?? ""
            return error(
                .passing(status: response.status, retryAfter: response.retryAfter), words,
                "It is tried again\(wait); if it lasts, look at the server's log.")
        case 300..<400:
            let to = response.headers["Location"].flatMap { try? HTTPURL($0).origin.description }
            return error(
                .rejected(status: response.status, code: nil), to.map { "redirected to \($0)" } ?? words,
                "Configure the address the server really has; API calls are not redirected.")
        default:
            var rejection = error(
                .rejected(status: response.status, code: Self.code(body)), words, Self.remedy(response.status))
            rejection.speaksOfCredential = Self.speaksOfCredential(body, words)
            return rejection
        }
    }

    private static func speaksOfCredential(_ body: JSONValue?, _ words: String) -> Bool {
        guard case .object? = body else { return false }
        if body?.whole(FabricSpelling.errorStatus) == 401 { return true }
        let words = words.lowercased()
        return FabricSpelling.credentialWords.contains(where: words.contains)
    }

    private static func remedy(_ status: Int) -> String {
        switch status {
        case 404: "Check the server's address and that the channel or file still exists."
        case 409: "The channel is closed to it; choose another channel."
        case 413: "Send a smaller file, or raise the guild's limit."
        default: "Repeating it will not help; the server's words say why."
        }
    }

    /// The server's words; NestJS gives one string or several.
    private static func words(_ body: JSONValue?) -> String? {
        if let text = body?.string { return text }
        for key in FabricSpelling.errorWords {
            guard let value = body?[key] else { continue }
            if let text = value.string { return text }
            if let list = value.array { return list.compactMap(\.string).joined(separator: "; ") }
            if let inner = words(value) { return inner }
        }
        return nil
    }

    /// Something like `channel_closed`: what a program may compare.
    private static func code(_ body: JSONValue?) -> String? {
        FabricSpelling.errorCode.lazy.compactMap { body?[$0]?.string }.first { text in
            (1...64).contains(text.utf8.count)
                && text.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F }
        }
    }

    // MARK: - No answer

    func failure(_ transfer: HTTPTransferError) -> FabricError {
        let words = transfer.message
        switch transfer.kind {
        case .cancelled, .shutDown:
            return error(.cancelled, words, "It was stopped on this side.")
        case .badURL, .badRequest, .file, .fileChanged, .privateAddress:
            return error(.local, words, "Correct what is named here.")
        case .tooLarge(let limit):
            return error(.tooLarge(limit: limit), words, "Raise the limit if so much is wanted.")
        case .redirect:
            return error(.malformed, words, "Look at the server's configuration.")
        case .tls where words.contains("wrong version number") || words.contains("packet length too long"):
            return error(
                .passing(status: nil, retryAfter: nil), words,
                "The server does not speak TLS: its address begins with http://, not https://.")
        case .tls:
            return error(
                .passing(status: nil, retryAfter: nil), words,
                "Check the server's certificate; for an authority of your own set certificateAuthorityFile.")
        case .protocolViolation where isRepeatable || !transfer.requestSent:
            return error(.malformed, words, "Check that the address is that of a Fabric server.")
        case .connect:
            return error(
                .passing(status: nil, retryAfter: nil), words,
                "Nothing answers there: check host and port of the server's address, and that it runs. It is tried again."
            )
        case .resolve:
            return error(
                .passing(status: nil, retryAfter: nil), words,
                "Check the name in the server's address, and name resolution here. It is tried again.")
        default:
            guard isRepeatable || !transfer.requestSent else {
                return error(.unknownOutcome, words, "It is looked up, or repeated under the same idempotency key.")
            }
            return error(.passing(status: nil, retryAfter: nil), words, "It is tried again.")
        }
    }

    /// - Parameter body: shown in part, unless the answer is one that brings tokens; a web page never does.
    func malformed(_ what: String, _ body: [UInt8]) -> FabricError {
        let isShown = !answersWithSecrets || body.first == UInt8(ascii: "<")
        let start = isShown ? String(decoding: body.prefix(200), as: UTF8.self) : ""
        return error(
            .malformed, start.isEmpty ? what : "\(what); the answer begins: \(start)",
            "Check that the address is that of a Fabric server, and its version.")
    }
}
