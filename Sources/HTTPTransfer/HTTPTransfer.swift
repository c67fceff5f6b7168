import Glibc

/// HTTP requests, streamed downloads and streamed uploads on one libcurl multi handle with a thread of its own.
///
/// Only http and https; TLS is always verified; HTTP/2 where a TLS server offers it; connections are kept and shared.
/// Nothing is decompressed, no cookies are kept, no credentials cross an origin. Cancelling a task ends its transfer.
/// All functions may be called from any task at once; at most ``Configuration/maximumConnectionsPerHost`` connections
/// are open to one host, the rest waits in order.
public final class HTTPTransfer: Sendable {
    /// What holds for all transfers.
    public struct Configuration: Sendable {
        /// The `User-Agent` field.
        public var userAgent: String
        /// A PEM file of authorities to trust instead of the system's; must be readable.
        public var certificateAuthorityFile: String?
        /// Connections to one host; file transfers take at most half of them. Default 8, ours.
        public var maximumConnectionsPerHost: Int
        /// Whether `http_proxy`, `https_proxy` and `no_proxy` of the environment count, as with curl itself.
        public var usesEnvironmentProxy: Bool
        /// The thread's name, at most 15 bytes.
        public var threadName: String

        public init(
            userAgent: String = "HTTPTransfer", certificateAuthorityFile: String? = nil,
            maximumConnectionsPerHost: Int = 8, usesEnvironmentProxy: Bool = true, threadName: String = "http-transfer"
        ) {
            self.userAgent = userAgent
            self.certificateAuthorityFile = certificateAuthorityFile
            self.maximumConnectionsPerHost = maximumConnectionsPerHost
            self.usesEnvironmentProxy = usesEnvironmentProxy
            self.threadName = threadName
        }
    }

    let engine: TransferEngine

    /// Starts the thread. Throws `.file` if the authorities' file cannot be read, `.other` if libcurl fails.
    public init(configuration: Configuration = .init()) throws(HTTPTransferError) {
        if let file = configuration.certificateAuthorityFile { _ = try UploadFile(file) }
        guard configuration.userAgent.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw HTTPTransferError(.badRequest, "the user agent contains a control character")
        }
        engine = try TransferEngine(
            TransferSettings(
                userAgent: configuration.userAgent, certificateAuthorityFile: configuration.certificateAuthorityFile,
                usesEnvironmentProxy: configuration.usesEnvironmentProxy,
                maximumConnectionsPerHost: max(1, configuration.maximumConnectionsPerHost),
                threadName: configuration.threadName))
    }

    deinit { engine.shutdown() }

    /// Ends all transfers with `.shutDown`, closes all connections and waits for the thread, some milliseconds at most;
    /// a name being resolved does not hold it up. Later calls fail with `.shutDown`. May be called repeatedly.
    public func shutdown() { engine.shutdown() }

    /// Sends a request and gathers the response's body, up to ``HTTPRequest/maximumResponseBytes``. Redirects are
    /// returned, not followed. Any status is a response, not an error.
    public func perform(_ request: HTTPRequest) async throws(HTTPTransferError) -> HTTPResponse {
        let url = try HTTPURL(request.url)
        return try await run(request, url, try request.headerFields(), .memory, nil, began: .now).response
    }

    /// Sends parts as multipart/form-data with `request.method` (usually `.post`); files are read while they are sent.
    /// Redirects are returned, not followed. Throws `.file` or `.fileChanged` for a part's file.
    public func upload(
        _ request: HTTPRequest, parts: [HTTPPart]
    ) async throws(HTTPTransferError) -> HTTPResponse {
        let url = try HTTPURL(request.url)
        let fields = try request.headerFields()
        guard !fields.contains(where: { $0.name.lowercased() == "content-type" }) else {
            throw HTTPTransferError(.badRequest, "the Content-Type of an upload is not the caller's to set")
        }
        let files = try OpenParts(parts)
        let outcome = try await run(request, url, fields, .memory, files.parts, began: .now)
        withExtendedLifetime(files) {}
        return outcome.response
    }

    /// Downloads to `path`. The file appears, replacing what was there, only when a status of the 200s came and the
    /// body is complete; else the response tells why not. Memory does not grow with the file.
    ///
    /// At most five redirects are followed. The bearer and secret headers are dropped for good as soon as one leads to
    /// another origin; from https to http none is followed (`.redirect`).
    ///
    /// - Parameter maximumBytes: one more ends it with `.tooLarge`, announced or not.
    public func download(
        _ request: HTTPRequest, to path: String, maximumBytes: Int64
    ) async throws(HTTPTransferError) -> HTTPDownload {
        guard request.method == .get else {
            // Another method's body would go wherever a redirect points.
            throw HTTPTransferError(.badRequest, "a download is a GET")
        }
        let began = ContinuousClock.now
        var url = try HTTPURL(request.url)
        var fields = try request.headerFields()
        var credentials = fields.contains { $0.isSecret }
        var file = try DownloadFile(for: path)
        let sink = TransferJob.Sink.file(descriptor: file.descriptor, path: path, limit: max(0, maximumBytes))
        for _ in 0...Self.maximumRedirects {
            let outcome = try await run(request, url, fields, sink, nil, began: began)
            let response = outcome.response
            guard Self.redirects.contains(response.status), let location = response.headers["Location"] else {
                if response.isSuccess { try file.keep() }
                return HTTPDownload(
                    response: response, isComplete: response.isSuccess,
                    bytes: response.isSuccess ? outcome.bytesWritten : 0, sentCredentials: credentials)
            }
            let next = try Self.next(url, location)
            if next.origin != url.origin {
                fields.removeAll { $0.isSecret }
                credentials = false
            }
            url = next
            try file.rewind()
        }
        throw HTTPTransferError(
            .redirect, "more than \(Self.maximumRedirects) redirects", host: url.origin.authority, requestSent: true)
    }

    private static let maximumRedirects = 5
    private static let redirects: Set<Int> = [301, 302, 303, 307, 308]

    private static func next(_ url: HTTPURL, _ location: String) throws(HTTPTransferError) -> HTTPURL {
        let host = url.origin.authority
        let next: HTTPURL
        do throws(HTTPTransferError) {
            next = try url.resolving(location)
        } catch {
            throw HTTPTransferError(.redirect, "redirected to a " + error.message, host: host, requestSent: true)
        }
        guard url.origin.scheme != "https" || next.origin.scheme == "https" else {
            throw HTTPTransferError(
                .redirect, "redirected from https to http (\(next.origin)), which is not followed", host: host,
                requestSent: true)
        }
        return next
    }

    private func run(
        _ request: HTTPRequest, _ url: HTTPURL, _ fields: [HTTPHeader], _ sink: TransferJob.Sink,
        _ parts: [TransferPart]?, began: ContinuousClock.Instant
    ) async throws(HTTPTransferError) -> TransferOutcome {
        let id = engine.nextID()
        let flag = CancellationFlag()
        let engine = engine
        let result: Result<TransferOutcome, HTTPTransferError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                engine.submit(
                    TransferJob(
                        id: id, request: request, url: url, headers: fields, sink: sink, parts: parts, began: began,
                        cancellation: flag, completion: { continuation.resume(returning: $0) }))
            }
        } onCancel: {
            flag.set()
            engine.cancel(id)
        }
        return try result.get()
    }
}

/// The parts of an upload with their files open; they are closed with it.
private final class OpenParts {
    private(set) var parts: [TransferPart] = []
    private var descriptors: [Int32] = []

    init(_ parts: [HTTPPart]) throws(HTTPTransferError) {
        for part in parts {
            let type = try part.checkedMediaType()
            let source: TransferPart.Source
            switch part.content {
            case .bytes(let bytes):
                source = .bytes(bytes)
            case .file(let path):
                var file = try UploadFile(path)
                source = .file(descriptor: file.descriptor, path: path, size: file.size)
                descriptors.append(file.release())
            }
            self.parts.append(
                TransferPart(name: part.name, fileName: part.fileName, mediaType: type, source: source))
        }
    }

    deinit { for descriptor in descriptors { close(descriptor) } }
}
