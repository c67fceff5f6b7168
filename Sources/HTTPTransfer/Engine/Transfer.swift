import CLibCurl
import Glibc

/// One easy handle and what belongs to it. Lives on the transfer thread only.
final class Transfer {
    let job: TransferJob
    let easy: UnsafeMutableRawPointer
    var clock: TransferClock
    var head = ResponseHead()
    /// The response's body, where it is kept in memory.
    var body: [UInt8] = []
    var bytesWritten: Int64 = 0
    /// The first failure a callback found; it explains libcurl's own code.
    var failure: HTTPTransferError?
    /// The body of a failed download was cut on purpose.
    var isCut = false
    /// An address of the own network was not connected to.
    var isAddressRefused = false
    /// A socket could not be made, or only of the last descriptors.
    var lacksDescriptors = false
    /// The request was begun on a connection.
    var isRequested = false
    var upload: [UploadSource] = []
    /// Sources not yet read to their end.
    var unsent: Int { upload.reduce(0) { $0 + ($1.isAtEnd ? 0 : 1) } }

    private var fields: UnsafeMutablePointer<curl_slist>?
    private var mime: OpaquePointer?
    private let errorText: UnsafeMutablePointer<CChar>

    /// At most this much is kept of what a server says instead of a file.
    static let maximumErrorBody = 64 << 10

    init(_ job: TransferJob, _ settings: TransferSettings) throws(HTTPTransferError) {
        guard let easy = curl_easy_init() else { throw HTTPTransferError(.other(code: 27), "out of memory") }
        self.job = job
        self.easy = easy
        clock = TransferClock(job.request.deadlines, began: job.began)
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        // All properties are set: if one of these throws, deinit still runs.
        try configure(settings)
        try addHeaders()
        try addBody()
    }

    /// Only after the handle was taken out of the multi handle.
    deinit {
        curl_easy_cleanup(easy)
        if let mime { curl_mime_free(mime) }
        curl_slist_free_all(fields)
        errorText.deallocate()
    }

    /// Whether this leg may go to public addresses only.
    var needsPublicAddress: Bool { job.request.needsPublicAddress && job.url.origin != job.request.trustedOrigin }

    /// The whole request may have reached the server.
    var isRequestSent: Bool { isRequested && unsent == 0 }

    var libraryMessage: String {
        String(cString: errorText)
    }

    // MARK: - Setting up

    private var context: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    private func check(_ code: CURLcode, _ what: StaticString) throws(HTTPTransferError) {
        guard code == CURLE_OK else {
            let reason = String(cString: curl_easy_strerror(code))
            throw HTTPTransferError(.other(code: Int(code.rawValue)), "libcurl refused \(what): \(reason)")
        }
    }

    private func configure(_ settings: TransferSettings) throws(HTTPTransferError) {
        let deadlines = job.request.deadlines
        try check(clibcurl_set_pointer(easy, CURLOPT_ERRORBUFFER, errorText), "ERRORBUFFER")
        try check(clibcurl_set_pointer(easy, CURLOPT_PRIVATE, context), "PRIVATE")
        try check(clibcurl_set_string(easy, CURLOPT_URL, job.url.text), "URL")
        try check(clibcurl_set_string(easy, CURLOPT_PROTOCOLS_STR, "http,https"), "PROTOCOLS_STR")
        try check(clibcurl_set_string(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https"), "REDIR_PROTOCOLS_STR")
        try check(clibcurl_set_long(easy, CURLOPT_FOLLOWLOCATION, 0), "FOLLOWLOCATION")
        try check(clibcurl_set_long(easy, CURLOPT_NOSIGNAL, 1), "NOSIGNAL")
        try check(clibcurl_set_long(easy, CURLOPT_QUICK_EXIT, 1), "QUICK_EXIT")
        try check(clibcurl_set_long(easy, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2TLS)), "HTTP_VERSION")
        try check(clibcurl_set_long(easy, CURLOPT_PIPEWAIT, 1), "PIPEWAIT")
        try check(clibcurl_set_long(easy, CURLOPT_SSL_VERIFYPEER, 1), "SSL_VERIFYPEER")
        try check(clibcurl_set_long(easy, CURLOPT_SSL_VERIFYHOST, 2), "SSL_VERIFYHOST")
        try check(clibcurl_set_long(easy, CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2)), "SSLVERSION")
        if let file = settings.certificateAuthorityFile {
            try check(clibcurl_set_string(easy, CURLOPT_CAINFO, file), "CAINFO")
            // The directory that libcurl was built with counts as well unless it is taken away.
            try check(clibcurl_set_string(easy, CURLOPT_CAPATH, nil), "CAPATH")
        }
        // libcurl divides this among the addresses of a name, so that a dead one does not eat all of it.
        try check(
            clibcurl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, deadlines.connect.milliseconds), "CONNECTTIMEOUT_MS")
        try check(clibcurl_set_string(easy, CURLOPT_USERAGENT, settings.userAgent), "USERAGENT")
        if !settings.usesEnvironmentProxy { try check(clibcurl_set_string(easy, CURLOPT_PROXY, ""), "PROXY") }
        if job.isFile {
            // Fewer system calls than with the default of 16 KiB; with 256 KiB a download takes twice as long, for the
            // bytes have left the cache when they are written (1 GiB over loopback into tmpfs).
            try check(clibcurl_set_long(easy, CURLOPT_BUFFERSIZE, 64 << 10), "BUFFERSIZE")
            try check(clibcurl_set_long(easy, CURLOPT_UPLOAD_BUFFERSIZE, 256 << 10), "UPLOAD_BUFFERSIZE")
        }
        try check(clibcurl_set_header(easy, transferHeader, context), "HEADERFUNCTION")
        try check(clibcurl_set_write(easy, transferWrite, context), "WRITEFUNCTION")
        try check(clibcurl_set_prereq(easy, transferPrerequest, context), "PREREQFUNCTION")
        try check(clibcurl_set_opensocket(easy, transferOpenSocket, context), "OPENSOCKETFUNCTION")
    }

    private func addHeaders() throws(HTTPTransferError) {
        try append("Expect:")
        if job.parts == nil, !job.headers.contains(where: { $0.name.lowercased() == "content-type" }) {
            // Else libcurl calls every body a form.
            try append("Content-Type:")
        }
        for field in job.headers {
            try append(field.value.isEmpty ? field.name + ";" : "\(field.name): \(field.value)")
        }
        try check(clibcurl_set_pointer(easy, CURLOPT_HTTPHEADER, fields), "HTTPHEADER")
    }

    private func append(_ line: String) throws(HTTPTransferError) {
        guard let longer = curl_slist_append(fields, line) else {
            throw HTTPTransferError(.other(code: 27), "out of memory")
        }
        fields = longer
    }

    private func addBody() throws(HTTPTransferError) {
        if let parts = job.parts {
            try addParts(parts)
            return
        }
        let method = job.request.method
        switch (method, job.request.body) {
        case (.get, nil):
            try check(clibcurl_set_long(easy, CURLOPT_HTTPGET, 1), "HTTPGET")
        case (.head, _):
            try check(clibcurl_set_long(easy, CURLOPT_NOBODY, 1), "NOBODY")
        case (.delete, nil):
            try check(clibcurl_set_string(easy, CURLOPT_CUSTOMREQUEST, method.rawValue), "CUSTOMREQUEST")
        case (_, let body):
            let body = body ?? []
            try check(clibcurl_set_long(easy, CURLOPT_POST, 1), "POST")
            try check(clibcurl_set_offset(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count)), "POSTFIELDSIZE")
            if method != .post {
                try check(clibcurl_set_string(easy, CURLOPT_CUSTOMREQUEST, method.rawValue), "CUSTOMREQUEST")
            }
            if body.isEmpty {
                try check(clibcurl_set_string(easy, CURLOPT_COPYPOSTFIELDS, ""), "COPYPOSTFIELDS")
                return
            }
            // Read by callback, so that a second sending is ours to refuse: see UploadSource.seek.
            let source = UploadSource(self, .bytes(body), mayRepeat: job.request.isRepeatable)
            upload.append(source)
            try check(clibcurl_set_read(easy, uploadRead, source.context), "READFUNCTION")
            try check(clibcurl_set_seek(easy, uploadSeek, source.context), "SEEKFUNCTION")
        }
    }

    private func addParts(_ parts: [TransferPart]) throws(HTTPTransferError) {
        guard let mime = curl_mime_init(easy) else { throw HTTPTransferError(.other(code: 27), "out of memory") }
        self.mime = mime
        for part in parts {
            guard let handle = curl_mime_addpart(mime) else {
                throw HTTPTransferError(.other(code: 27), "out of memory")
            }
            try check(curl_mime_name(handle, HTTPPart.safe(part.name)), "a part's name")
            if let name = part.fileName { try check(curl_mime_filename(handle, HTTPPart.safe(name)), "a file name") }
            // Else libcurl guesses one from the name's ending.
            if let type = part.mediaType ?? part.fileName.map({ _ in "application/octet-stream" }) {
                try check(curl_mime_type(handle, type), "a media type")
            }
            let source = UploadSource(self, part.source, mayRepeat: job.request.isRepeatable)
            upload.append(source)
            try check(
                curl_mime_data_cb(handle, curl_off_t(source.size), uploadRead, uploadSeek, nil, source.context),
                "a part's source")
        }
        try check(clibcurl_set_pointer(easy, CURLOPT_MIMEPOST, UnsafeMutableRawPointer(mime)), "MIMEPOST")
        if job.request.method != .post {
            try check(clibcurl_set_string(easy, CURLOPT_CUSTOMREQUEST, job.request.method.rawValue), "CUSTOMREQUEST")
        }
    }
}

extension Duration {
    /// Whole milliseconds, at least 1 (libcurl takes 0 for "its default") and at most some weeks.
    var milliseconds: Int {
        let (seconds, attoseconds) = components
        return max(1, Int(min(max(seconds, 0), 2_000_000)) * 1000 + Int(attoseconds / 1_000_000_000_000_000))
    }
}
