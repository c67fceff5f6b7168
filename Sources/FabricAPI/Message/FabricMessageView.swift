import JSONBytes

/// The fields of a message, realtime event or history row alike, found in one pass and without allocation.
///
/// It points into the text it was read from and is good only as long as that is. Which spellings are read stands in
/// `FabricSpelling`; what is not there is nil, and what is not known is skipped.
public struct FabricMessageView {
    /// Where a value stands in the object's text. Offsets and not views: a fifth of the size, and this struct is copied.
    private struct Place {
        var start: UInt32 = 0
        /// 0: there is none.
        var count: UInt32 = 0
    }

    private let base: UnsafeRawPointer
    private var idPlace = Place()
    private var channelPlace = Place()
    private var guildPlace = Place()
    private var authorPlace = Place()
    private var authorNamePlace = Place()
    private var contentPlace = Place()
    private var createdPlace = Place()
    private var mentionsPlace = Place()
    private var attachmentsPlace = Place()
    private var replyPlace = Place()
    private var wrappedPlace = Place()
    /// Of the author's spelling read so far; the highest counts.
    private var authorRank: UInt8 = 0
    private var hasMessageId = false
    /// Only on realtime events; nil counts as false.
    public private(set) var wakeup: Bool?
    /// Only on realtime events.
    public private(set) var xType: FabricChannelType?
    /// The position in the channel, also if it was given as a string of digits.
    public private(set) var seq: Int64?

    /// The message's id; never empty.
    public var id: JSONView { view(idPlace) }
    public var channelId: JSONView? { optional(channelPlace) }
    public var guildId: JSONView? { optional(guildPlace) }
    /// The author's user id.
    public var author: JSONView? { optional(authorPlace) }
    /// What the author is called, as a JSON string that is not empty, where the guild says it.
    public var authorName: JSONView? { optional(authorNamePlace) }
    /// The text, as a JSON string.
    public var content: JSONView? { optional(contentPlace) }
    /// ISO 8601, as a JSON string; see ``FabricTime``.
    public var createdAt: JSONView? { optional(createdPlace) }
    /// See ``FabricMention``.
    public var mentions: JSONView? { optional(mentionsPlace) }
    /// See ``FabricAttachment/read(_:)``.
    public var attachments: JSONView? { optional(attachmentsPlace) }
    /// Id of the message this one answers, or an object that holds it.
    public var replyTo: JSONView? { optional(replyPlace) }

    /// Nil if the value is no object, or has no id.
    public init?(_ object: JSONView) {
        let text = object.rawBytes
        guard let base = text.baseAddress, text.count <= Int(UInt32.max) else { return nil }
        self.base = base
        read(object)
        if wrappedPlace.count > 0, !hasId {
            // {"message": {…}, "wakeup": …}: what stands outside counts too, unless the message says it itself.
            let inner = view(wrappedPlace)
            wrappedPlace = Place()
            read(inner)
        }
        guard hasId else { return nil }
    }

    /// The guild itself wrote it, or somebody with its key.
    public var isFromSystem: Bool { author?.equals(FabricRealtime.systemAuthorText) ?? false }

    private var hasId: Bool {
        guard idPlace.count > 0 else { return false }
        let first = base.load(fromByteOffset: Int(idPlace.start), as: UInt8.self)
        return first == 0x22 ? idPlace.count > 2 : first == 0x2D || (0x30...0x39).contains(first)
    }

    @inline(__always)
    private func view(_ place: Place) -> JSONView {
        JSONView(exactly: UnsafeRawBufferPointer(start: base + Int(place.start), count: Int(place.count)))
    }

    private func optional(_ place: Place) -> JSONView? { place.count > 0 ? view(place) : nil }

    /// `null` counts as absent.
    @inline(__always)
    private func place(_ value: JSONView) -> Place {
        guard let start = value.rawBytes.baseAddress, !value.isNull else { return Place() }
        return Place(
            start: UInt32(truncatingIfNeeded: start - base), count: UInt32(truncatingIfNeeded: value.rawBytes.count))
    }

    @inline(__always)
    private mutating func read(_ object: JSONView) {
        object.forEachMember { key, value in
            guard let field = FabricSpelling.messageField(key) else { return true }
            switch field {
            case .id:
                if !hasMessageId { idPlace = place(value) }
            case .messageId:
                if !value.isNull {
                    idPlace = place(value)
                    hasMessageId = true
                }
            case .channelId: channelPlace = place(value)
            case .guildId: guildPlace = place(value)
            case .seq: seq = value.wholeNumber
            case .author(let rank):
                if rank > authorRank, let user = value.userId {
                    authorPlace = place(user)
                    authorRank = rank
                    if value.kind == .object, let name = value.userName { authorNamePlace = place(name) }
                }
            case .authorName:
                if value.kind == .string, value.rawBytes.count > 2 { authorNamePlace = place(value) }
            case .content: contentPlace = place(value)
            case .createdAt: createdPlace = place(value)
            case .mentions: mentionsPlace = place(value)
            case .attachments: attachmentsPlace = place(value)
            case .replyTo: replyPlace = place(value)
            case .xType: xType = FabricChannelType(value)
            case .wakeup: wakeup = value.bool
            case .message: wrappedPlace = value.kind == .object ? place(value) : Place()
            }
            return true
        }
    }
}

@available(*, unavailable, message: "a view is good only while the bytes under it are")
extension FabricMessageView: Sendable {}

extension JSONView {
    /// A message's id, or that of an object that describes one; a string.
    public var messageId: JSONView? {
        switch kind {
        case .string: return self
        case .object:
            var found: JSONView?
            forEachMember { key, value in
                guard FabricSpelling.isMessageId(key), value.kind == .string else { return true }
                found = value
                return false
            }
            return found
        default: return nil
        }
    }

    /// A whole number, also as a string of digits: databases hand out 64-bit numbers so.
    @inline(__always)
    var wholeNumber: Int64? {
        kind == .string ? digits : int64
    }

    private var digits: Int64? {
        guard let text = stringBytes, !text.isEmpty else { return nil }
        return JSONView(validated: text, start: 0, end: text.count).int64
    }

    /// A user's id, or that of an object that describes one.
    @inline(__always)
    var userId: JSONView? {
        switch kind {
        case .string: rawBytes.count > 2 ? self : nil
        case .object: userIdOfObject
        default: nil
        }
    }

    /// What an object that describes a user calls it.
    var userName: JSONView? {
        var found: JSONView?
        forEachMember { key, value in
            guard FabricSpelling.isUserName(key), value.kind == .string, value.rawBytes.count > 2 else { return true }
            found = value
            return false
        }
        return found
    }

    private var userIdOfObject: JSONView? {
        var found: JSONView?
        forEachMember { key, value in
            guard FabricSpelling.isUserId(key), value.kind == .string else { return true }
            found = value
            return false
        }
        return found
    }
}
