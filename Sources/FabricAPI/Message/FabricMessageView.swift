import JSONBytes

/// The fields of a message, realtime event or history row alike, found in one pass and without allocation.
///
/// It points into the text it was read from and is good only as long as that is. Which spellings are read stands in
/// `FabricSpelling`; what is not there is nil, and what is not known is skipped.
public struct FabricMessageView {
    private let base: UnsafeRawPointer
    private var idPlace = JSONPlace()
    private var channelPlace = JSONPlace()
    private var guildPlace = JSONPlace()
    private var authorPlace = JSONPlace()
    private var authorNamePlace = JSONPlace()
    private var contentPlace = JSONPlace()
    private var createdPlace = JSONPlace()
    private var mentionsPlace = JSONPlace()
    private var attachmentsPlace = JSONPlace()
    private var replyPlace = JSONPlace()
    private var wrappedPlace = JSONPlace()
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
    /// - Parameter members: the object's, if they were noted.
    public init?(_ object: JSONView, members: JSONMembers? = nil) {
        let text = object.rawBytes
        guard let base = text.baseAddress, text.count < JSONPlace.longestText else { return nil }
        self.base = base
        if let members {
            members.forEachMember { take($0, $1) }
        } else {
            object.forEachMember { take($0, $1) }
        }
        if wrappedPlace.count > 0, !hasId { unwrap() }
        guard hasId else { return nil }
    }

    /// `{"message": {…}, "wakeup": …}`: what stands outside counts too, unless the message says it itself.
    @inline(never)
    private mutating func unwrap() {
        let inner = view(wrappedPlace)
        wrappedPlace = JSONPlace()
        inner.forEachMember { take($0, $1) }
    }

    /// The guild itself wrote it, or somebody with its key.
    public var isFromSystem: Bool { author?.equals(FabricRealtime.systemAuthorText) ?? false }

    private var hasId: Bool {
        guard idPlace.count > 0 else { return false }
        let first = base.load(fromByteOffset: Int(idPlace.start), as: UInt8.self)
        return first == 0x22 ? idPlace.count > 2 : first == 0x2D || (0x30...0x39).contains(first)
    }

    @inline(__always)
    private func view(_ place: JSONPlace) -> JSONView { place.view(in: base) }

    @inline(__always)
    private func optional(_ place: JSONPlace) -> JSONView? { place.count > 0 ? view(place) : nil }

    /// `null` counts as absent.
    @inline(__always)
    private func place(_ value: JSONView) -> JSONPlace { value.isNull ? JSONPlace() : JSONPlace(of: value, in: base) }

    /// Takes a member; true, for the next one.
    @inline(__always)
    private mutating func take(_ key: JSONView, _ value: JSONView) -> Bool {
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
        case .message: wrappedPlace = value.kind == .object ? place(value) : JSONPlace()
        }
        return true
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
