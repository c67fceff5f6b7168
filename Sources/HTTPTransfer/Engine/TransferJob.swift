import Synchronization

/// What the calling task hands to the transfer thread.
struct TransferJob: Sendable {
    /// Where the body of a response of the 200s goes.
    enum Sink: Sendable {
        case memory
        /// An open file; it stays open until the completion has been called.
        case file(descriptor: Int32, path: String, limit: Int64)
    }

    let id: UInt64
    let request: HTTPRequest
    let url: HTTPURL
    let headers: [HTTPHeader]
    let sink: Sink
    /// Not nil: a multipart upload.
    let parts: [TransferPart]?
    let began: ContinuousClock.Instant
    let cancellation: CancellationFlag
    /// Called exactly once, on the transfer thread, after libcurl has let go of everything. Keep it short.
    let completion: @Sendable (Result<TransferOutcome, HTTPTransferError>) -> Void

    var isFile: Bool {
        if case .file = sink { return true }
        return parts?.contains { if case .file = $0.source { true } else { false } } ?? false
    }
}

/// A part whose file is open.
struct TransferPart: Sendable {
    enum Source: Sendable {
        case bytes([UInt8])
        case file(descriptor: Int32, path: String, size: Int64)
    }

    var name: String
    var fileName: String?
    var mediaType: String?
    var source: Source
}

/// How a transfer ended that got a response.
struct TransferOutcome: Sendable {
    var response: HTTPResponse
    var bytesWritten: Int64
}

/// Set by a task's cancellation, which may come before the job reaches the thread.
final class CancellationFlag: Sendable {
    private let flag = Atomic<Bool>(false)
    var isSet: Bool { flag.load(ordering: .acquiring) }
    func set() { flag.store(true, ordering: .releasing) }
}
