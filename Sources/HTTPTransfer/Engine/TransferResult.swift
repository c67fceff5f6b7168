import CLibCurl

extension Transfer {
    /// The result, once libcurl is done with the handle.
    func result(_ code: CURLcode) -> Result<TransferOutcome, HTTPTransferError> {
        if code == CURLE_COULDNT_CONNECT { nothingConnected() }
        if let failure { return .failure(failure) }
        guard code == CURLE_OK || isCut else { return .failure(error(code)) }
        if case .file = job.sink, head.status == 206 {
            let message = "a part of the file came (206), though the whole was asked for"
            return .failure(HTTPTransferError(.protocolViolation, message, host: job.url.origin.authority))
        }
        let response = HTTPResponse(
            status: head.status, headers: head.headers, body: body, retryAfter: retryAfter,
            effectiveURL: job.url.text)
        return .success(TransferOutcome(response: response, bytesWritten: bytesWritten))
    }

    /// Seconds; ours. A server's typing error must not silence an agent for years.
    private static let longestRetryAfter: curl_off_t = 86_400

    /// libcurl says 0 for "none", and (before 8.12) a negative number for a date in the past.
    private var retryAfter: Duration? {
        guard head.headers["Retry-After"] != nil else { return nil }
        return .seconds(min(max(0, clibcurl_get_offset(easy, CURLINFO_RETRY_AFTER)), Self.longestRetryAfter))
    }

    var wasMultiplexed: Bool {
        clibcurl_get_long(easy, CURLINFO_HTTP_VERSION) >= Int(CURL_HTTP_VERSION_2_0)
    }

    private func error(_ code: CURLcode) -> HTTPTransferError {
        let reason = libraryMessage.isEmpty ? String(cString: curl_easy_strerror(code)) : libraryMessage
        return HTTPTransferError(kind(code), reason, host: job.url.origin.authority, requestSent: isRequestSent)
    }

    private func kind(_ code: CURLcode) -> HTTPTransferError.Kind {
        switch code {
        case CURLE_URL_MALFORMAT: .badURL
        case CURLE_UNSUPPORTED_PROTOCOL: isRequested ? .protocolViolation : .badURL
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: .resolve
        case CURLE_COULDNT_CONNECT, CURLE_INTERFACE_FAILED, CURLE_PROXY: .connect
        case CURLE_OPERATION_TIMEDOUT: .timedOut(clock.deadline?.phase ?? .total)
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CERTPROBLEM,
            CURLE_SSL_CIPHER, CURLE_SSL_ENGINE_INITFAILED, CURLE_SSL_ISSUER_ERROR, CURLE_USE_SSL_FAILED,
            CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_PINNEDPUBKEYNOTMATCH:
            .tls
        case CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_PARTIAL_FILE, CURLE_SEND_FAIL_REWIND,
            CURLE_HTTP2, CURLE_HTTP2_STREAM, CURLE_SSL_SHUTDOWN_FAILED:
            .connectionLost(requestSent: isRequestSent)
        case CURLE_FILESIZE_EXCEEDED: .tooLarge(limit: limit)
        case CURLE_WEIRD_SERVER_REPLY, CURLE_BAD_CONTENT_ENCODING, CURLE_HTTP_RETURNED_ERROR: .protocolViolation
        default: .other(code: Int(code.rawValue))
        }
    }
}
