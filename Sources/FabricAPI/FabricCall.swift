import HTTPTransfer
import JSONBytes

/// One call: sends it, and makes of whatever comes back a body or a `FabricError`.
struct FabricCall: Sendable {
    let http: HTTPTransfer
    /// Scheme, authority and path prefix, without a slash at the end.
    let base: String
    /// See `HTTPRequest.mayBegin`.
    var mayBegin: (@Sendable () -> Bool)?

    /// The body of any 2xx answer, possibly empty.
    func send(
        _ operation: FabricOperation, _ method: HTTPMethod, _ path: String, body: [UInt8]? = nil, bearer: String? = nil,
        headers: [HTTPHeader] = [], deadlines: HTTPDeadlines = .request
    ) async throws(FabricError) -> [UInt8] {
        try await answer(operation, method, path, body: body, bearer: bearer, headers: headers, deadlines: deadlines)
            .body
    }

    /// Any 2xx answer.
    func answer(
        _ operation: FabricOperation, _ method: HTTPMethod, _ path: String, body: [UInt8]? = nil, bearer: String? = nil,
        headers: [HTTPHeader] = [], deadlines: HTTPDeadlines = .request
    ) async throws(FabricError) -> HTTPResponse {
        var headers = headers
        headers.append(HTTPHeader("Accept", "application/json"))
        if body != nil { headers.append(HTTPHeader("Content-Type", "application/json")) }
        var request = HTTPRequest(
            method, base + path, headers: headers, body: body ?? (method == .get ? nil : []), bearer: bearer,
            deadlines: deadlines, isRepeatable: operation.isRepeatable)
        request.mayBegin = mayBegin
        let response: HTTPResponse
        do throws(HTTPTransferError) {
            response = try await http.perform(request)
        } catch {
            var failure = operation.failure(error)
            // What a server of TLS does to a request without it: it hangs up, or says something that is no HTTP.
            if base.hasPrefix("http://"),
                error.kind == .protocolViolation || error.kind == .connectionLost(requestSent: true)
            {
                failure.remedy += " If the server speaks TLS, its address begins with https://."
            }
            throw failure
        }
        guard response.isSuccess else { throw operation.failure(response) }
        return response
    }

    /// The body as JSON; an empty one is `null`.
    static func value(_ body: [UInt8], _ operation: FabricOperation) throws(FabricError) -> JSONValue {
        if body.allSatisfy({ $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }) { return .null }
        do throws(JSONSyntaxError) {
            return try JSONValue(parsing: body)
        } catch {
            throw operation.malformed("no JSON (\(error.reason) at byte \(error.offset))", body)
        }
    }

    /// Checks a configured or received address. Throws `.local`.
    static func base(_ text: String, _ operation: FabricOperation) throws(FabricError) -> (String, HTTPOrigin) {
        let url: HTTPURL
        do throws(HTTPTransferError) {
            url = try HTTPURL(text)
        } catch {
            throw operation.error(.local, error.message, operation.refusalRemedy)
        }
        guard url.query == nil, !text.contains("?"), !text.contains("#") else {
            throw operation.error(.local, "the address must have no query and no fragment", operation.refusalRemedy)
        }
        var base = url.text
        while base.hasSuffix("/") { base.removeLast() }
        return (base, url.origin)
    }
}
