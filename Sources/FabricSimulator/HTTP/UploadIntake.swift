import NIOCore

/// Takes in the body of one upload request: finds the file part and spools it.
final class UploadIntake {
    struct Refusal: Error {
        let response: Response
    }

    let order: UploadOrder
    private var parser: MultipartParser
    private var spool: UploadSpool?
    private var name = "file"
    private var mediaType = "application/octet-stream"
    private var inFile = false
    private var foundFile = false
    private var ended = false

    /// nil when the content type is not multipart/form-data.
    init?(_ order: UploadOrder, contentType: String) {
        guard let parser = MultipartParser(contentType: contentType) else { return nil }
        self.order = order
        self.parser = parser
    }

    /// Returns the answer if the request is to be refused now.
    func take(_ bytes: ByteBuffer) -> Response? {
        guard let events = try? parser.feed(bytes) else { return .error(400, "Unexpected end of form") }
        for event in events {
            switch event {
            case .part(let part, let filename, let type):
                // The part's real name is not known: any part with a file name is the file, unless it is switched.
                guard let filename, !foundFile else { continue }
                guard order.part.isEmpty || part == order.part else { return .error(400, "Unexpected field") }
                foundFile = true
                inFile = true
                name = filename
                mediaType = type ?? mediaType
                spool = UploadSpool(path: order.path, keepsUpTo: order.keepsUpTo)
            case .bytes(let bytes):
                guard inFile else { continue }
                spool?.write(bytes)
                if let count = spool?.count, count > order.limit { return .error(413, "File too large") }
            case .partEnd: inFile = false
            case .end: ended = true
            }
        }
        return nil
    }

    func finish() -> Result<UploadedPart, Refusal> {
        guard ended else {
            abandon()
            return .failure(Refusal(response: .error(400, "Unexpected end of form")))
        }
        guard let (content, size, digest) = spool?.finish() else {
            return .failure(Refusal(response: .error(400, "file is required")))
        }
        return .success(
            UploadedPart(name: name, mediaType: mediaType, content: content, size: size, digest: digest))
    }

    func abandon() {
        spool?.discard()
    }
}
