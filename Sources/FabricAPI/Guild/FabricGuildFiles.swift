import HTTPTransfer
import JSONBytes

extension FabricGuild {
    /// Uploads a file, read while it is sent.
    /// - Parameters:
    ///   - path: a regular file, whose size must not change meanwhile.
    ///   - name: what the guild shall call it.
    ///   - mediaType: e.g. `image/png`.
    public func upload(
        file path: String, name: String, mediaType: String, token: String
    ) async throws(FabricError) -> FabricUploadedFile {
        // A repeated upload leaves a file nobody refers to, which the guild sweeps away.
        let operation = operation("uploading a file", token)
        var request = HTTPRequest(
            .post, call.base + FabricSpelling.filesPath, headers: [HTTPHeader("Accept", "application/json")],
            bearer: token, deadlines: .file, isRepeatable: true)
        request.mayBegin = call.mayBegin
        let parts = FabricSpelling.fileParts
        let response = try await firstTaken(of: parts.count) { [request] number throws(FabricError) in
            let part = HTTPPart(name: parts[number], fileName: name, mediaType: mediaType, content: .file(path))
            let response: HTTPResponse
            do throws(HTTPTransferError) {
                response = try await call.http.upload(request, parts: [part])
            } catch {
                throw operation.failure(error)
            }
            guard response.isSuccess else { throw operation.failure(response) }
            return response
        }
        let value = try FabricCall.value(response.body, operation)
        guard var file = FabricUploadedFile(reading: value) else {
            throw operation.malformed("neither a URL nor an id of the file in it", response.body)
        }
        file.name = file.name ?? name
        file.mediaType = file.mediaType ?? mediaType
        return file
    }

    /// Downloads an attachment to `path`; see `HTTPTransfer.download`. A relative URL is the guild's own.
    ///
    /// The token goes to files of the guild's own origin only, for whoever wrote the message chose the address: it opens no
    /// other route. `sentCredentials` of the result says whether it went. Where foreign files may come from public
    /// addresses only, that holds for each redirect too, by the address connected to.
    /// - Parameters:
    ///   - maximumBytes: more gives `.tooLarge`.
    ///   - deadline: for the whole, redirects and waiting for a connection included; longer gives `.passing`. The default is
    ///     ours: 10 min.
    public func download(
        url: String, to path: String, maximumBytes: Int64, token: String, deadline: Duration = .seconds(600)
    ) async throws(FabricError) -> HTTPDownload {
        var operation = operation("downloading a file", token)
        let place = try resolve(url, operation)
        let isOwn = place.origin == origin
        let isFile = isOwn && isFile(place)
        if isOwn, !isFile {
            operation.refusalRemedy =
                "It is no file of the guild's (\(FabricSpelling.filesRoot)…), so it gets no token."
        } else if !isOwn {
            operation.place = "guild \(nodeId) (file on \(place.origin.authority))"
            operation.refusalRemedy = "The file lies on another server, which gets no token."
            guard foreignDownloads != .refused else {
                throw operation.error(
                    .local, "files of other servers are not fetched", "Allow it, or fetch it by hand.")
            }
        }
        var request = HTTPRequest(
            .get, place.text, bearer: isFile ? token : nil, deadlines: HTTPDeadlines(total: max(deadline, .zero)))
        request.needsPublicAddress = foreignDownloads == .withoutTokenFromPublicAddresses
        request.trustedOrigin = origin
        let result: HTTPDownload
        do throws(HTTPTransferError) {
            result = try await call.http.download(request, to: path, maximumBytes: maximumBytes)
        } catch {
            throw operation.failure(error)
        }
        guard result.isComplete else {
            var error = operation.failure(result.response)
            // No token was refused, for none went there: it must not be renewed for that.
            if !isFile, case .refused(let status) = error.kind { error.kind = .rejected(status: status, code: nil) }
            throw error
        }
        return result
    }

    /// Whether an address of the guild's own is that of a file, however it is written.
    private func isFile(_ place: HTTPURL) -> Bool {
        guard let base = try? HTTPURL(endpoint).path else { return false }
        let root = (base == "/" ? "" : base) + FabricSpelling.filesRoot
        let rest = place.path.dropFirst(root.count).lowercased()
        return place.path.hasPrefix(root) && !rest.isEmpty
            && !["..", "\\", "%2e", "%2f", "%5c"].contains(where: rest.contains)
    }

    /// A relative reference is put behind the endpoint, whose path prefix thus stays.
    func resolve(_ reference: String, _ operation: FabricOperation) throws(FabricError) -> HTTPURL {
        do throws(HTTPTransferError) {
            if reference.hasPrefix("//") { return try HTTPURL(origin.scheme + ":" + reference) }
            if Self.hasScheme(reference) { return try HTTPURL(reference) }
            return try HTTPURL(endpoint + (reference.hasPrefix("/") ? "" : "/") + reference)
        } catch {
            throw operation.error(.local, error.message, "The message's attachment has an address that cannot be used.")
        }
    }

    /// RFC 3986, 3.1.
    private static func hasScheme(_ reference: String) -> Bool {
        let bytes = reference.utf8
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), let first = bytes.first,
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first | 0x20)
        else { return false }
        return bytes[..<colon].allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "+-.".utf8.contains(byte)
        }
    }
}

extension FabricUploadedFile {
    /// From an object in any envelope, or the first of a list.
    init?(reading value: JSONValue) {
        for keys in [FabricSpelling.uploadedURL, FabricSpelling.uploadedId] {
            guard let object = value.object(with: keys) else { continue }
            let text = object.serialized
            let read = text.withUnsafeBytes { bytes in
                FabricAttachment(JSONView(validated: bytes, start: 0, end: bytes.count))
            }
            guard let read else { continue }
            self.init(
                id: object.text(FabricSpelling.uploadedId), url: read.url, name: read.name, mediaType: read.mediaType,
                size: read.size)
            return
        }
        return nil
    }
}
