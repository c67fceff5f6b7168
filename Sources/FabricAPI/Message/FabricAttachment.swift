import JSONBytes

/// A file that hangs on a message.
public struct FabricAttachment: Sendable, Codable, Equatable {
    /// As the message has it: relative to the guild's endpoint, or absolute.
    public var url: String
    public var name: String?
    /// E.g. `image/png`, as the sender said; not to be trusted.
    public var mediaType: String?
    /// Bytes, as the sender said; not to be trusted.
    public var size: Int64?

    public init(url: String, name: String? = nil, mediaType: String? = nil, size: Int64? = nil) {
        self.url = url
        self.name = name
        self.mediaType = mediaType
        self.size = size
    }

    /// Reads a message's attachments: objects, or mere URLs. An entry with neither URL nor id is left out.
    public static func read(_ attachments: JSONView?) -> [FabricAttachment] {
        var found: [FabricAttachment] = []
        attachments?.forEachElement { element in
            if let attachment = FabricAttachment(element) { found.append(attachment) }
            return true
        }
        return found
    }

    /// Nil for an entry with neither URL nor id.
    public init?(_ view: JSONView) {
        if let url = view.string {
            guard !url.isEmpty else { return nil }
            self.init(url: url)
            return
        }
        var url: String?
        var id: String?
        var name: String?
        var mediaType: String?
        var size: Int64?
        view.forEachMember { key, value in
            switch FabricSpelling.attachmentField(key) {
            case .url: url = url ?? value.string
            case .id: id = id ?? value.string ?? value.int64.map(String.init)
            case .name: name = name ?? value.string
            case .mediaType: mediaType = mediaType ?? value.string
            case .size: size = size ?? value.wholeNumber.flatMap { $0 >= 0 ? $0 : nil }
            case nil: break
            }
            return true
        }
        guard let place = url.flatMap({ $0.isEmpty ? nil : $0 }) ?? id.map(FabricSpelling.filePath) else { return nil }
        self.init(url: place, name: name, mediaType: mediaType, size: size)
    }
}
