import JSONBytes

/// A channel as the guild lists it.
public struct FabricChannelInfo: Sendable, Equatable {
    public var id: String
    public var name: String?
    public var xType: FabricChannelType
    /// The head: the highest position given out. Nil if the guild did not say.
    public var lastSeq: Int64?
    /// It can be read, not posted to.
    public var closed: Bool
    public var isPublic: Bool
    /// ISO 8601; see ``FabricTime``.
    public var createdAt: String?
    public var purpose: String?
    /// Who is on duty, where the list says it: user ids.
    public var onDuty: [String] = []

    public init(
        id: String, name: String? = nil, xType: FabricChannelType, lastSeq: Int64? = nil, closed: Bool = false,
        isPublic: Bool = false, createdAt: String? = nil, purpose: String? = nil
    ) {
        self.id = id
        self.name = name
        self.xType = xType
        self.lastSeq = lastSeq
        self.closed = closed
        self.isPublic = isPublic
        self.createdAt = createdAt
        self.purpose = purpose
    }

    init?(reading value: JSONValue) {
        guard let id = value.text(FabricSpelling.channelId), !id.isEmpty else { return nil }
        self.init(
            id: id, name: value.text(FabricSpelling.name),
            xType: value.text(FabricSpelling.channelType).map(FabricChannelType.init(spelling:)) ?? .unknown,
            lastSeq: value.whole(FabricSpelling.lastSeq), closed: value.truth(FabricSpelling.closed) ?? false,
            isPublic: value.truth(FabricSpelling.isPublic) ?? false, createdAt: value.text(FabricSpelling.createdAt),
            purpose: value.text(FabricSpelling.purpose))
        if let duty = value.first(FabricSpelling.onDuty) {
            onDuty = (duty.array ?? [duty]).compactMap { $0.string ?? $0.text(FabricSpelling.memberUserId) }
        }
    }
}

/// A guild's channel list.
public struct FabricChannelList: Sendable, Equatable {
    public var channels: [FabricChannelInfo]
    /// When it was made, in seconds since 1970 by the guild's clock, to the second below; nil if the answer did not say.
    public var date: Double?

    public init(channels: [FabricChannelInfo], date: Double? = nil) {
        self.channels = channels
        self.date = date
    }
}

/// A member of a channel.
public struct FabricMember: Sendable, Equatable {
    public var userId: String
    /// Not in the rotation of a `discuss` or `work` channel; woken by a mention only.
    public var bypass: Bool

    public init(userId: String, bypass: Bool = false) {
        self.userId = userId
        self.bypass = bypass
    }

    /// An object, or a mere id.
    init?(reading value: JSONValue) {
        guard let id = value.string ?? value.text(FabricSpelling.memberUserId), !id.isEmpty else { return nil }
        self.init(userId: id, bypass: value.truth(FabricSpelling.memberBypass) ?? false)
    }
}
