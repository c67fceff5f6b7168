/// One part of a multipart/form-data upload.
public struct HTTPPart: Sendable {
    /// Where a part's bytes come from.
    public enum Content: Sendable {
        /// In memory; for short fields.
        case bytes([UInt8])
        /// Read from this path while it is sent, never held in memory as a whole.
        case file(String)
    }

    /// The form field's name.
    public var name: String
    /// The file name told to the server. Control characters become `_`, quotes are percent-encoded, as browsers do;
    /// everything else goes as UTF-8.
    public var fileName: String?
    /// The part's Content-Type, e.g. `image/png`. Anything but printable ASCII is refused; without one, a part with
    /// a file name is `application/octet-stream`.
    public var mediaType: String?
    /// The part's bytes.
    public var content: Content

    /// A part; nothing is opened before the upload starts.
    public init(name: String, fileName: String? = nil, mediaType: String? = nil, content: Content) {
        self.name = name
        self.fileName = fileName
        self.mediaType = mediaType
        self.content = content
    }

    /// What could break out of its place in a part's header, made harmless. libcurl escapes quotes itself.
    static func safe(_ text: String) -> String {
        String(
            String.UnicodeScalarView(text.unicodeScalars.map { $0.properties.generalCategory == .control ? "_" : $0 }))
    }

    /// Refuses a media type that could carry a further header.
    func checkedMediaType() throws(HTTPTransferError) -> String? {
        guard let mediaType else { return nil }
        guard !mediaType.isEmpty, mediaType.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) else {
            throw HTTPTransferError(.badRequest, "the media type of the part \(Self.safe(name)) is not printable ASCII")
        }
        return mediaType
    }
}
