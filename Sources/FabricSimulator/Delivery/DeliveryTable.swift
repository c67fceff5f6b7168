/// The type of a channel (`xType`).
public enum ChannelType: String, Sendable, Codable, CaseIterable {
    case general, work, report, discuss, triage, custom, dm, announce
}

/// What one recipient gets of one message.
public enum DeliveryOutcome: String, Sendable, Codable {
    /// Pushed with `wakeup: true`.
    case wake
    /// Pushed with `wakeup: false`.
    case observer
    /// Not pushed at all.
    case skip
}

/// Who gets a message, and with which `wakeup` (Documentation/Fabric.md, "Who is woken"), as a function.
struct DeliveryTable: Sendable, Equatable {
    var type: ChannelType
    var author: String
    /// Present only on the system path: nobody wakes, except the user named inside, if one is.
    var system: System?
    var mentions: Set<String> = []
    /// `wake_mapping` of a custom channel.
    var listeners: Set<String> = []
    /// `wake_mapping` of a triage channel.
    var onDuty: Set<String> = []
    /// The one Center administrator.
    var admin: String?
    /// Users whose presence is `busy`.
    var busy: Set<String> = []
    /// Whose turn it is after this message (discuss and work only).
    var speaker: String?
    /// Whether the author's sockets get the own message back (likely, not certain, hence a switch).
    var echoesToAuthor = true

    struct System: Sendable, Equatable {
        var wakes: String?
    }

    func outcome(for user: String) -> DeliveryOutcome {
        if let system {
            return system.wakes == user ? .wake : .observer
        }
        if user == author {
            return type == .triage || !echoesToAuthor ? .skip : .observer
        }
        switch type {
        case .general:
            return mentions.isEmpty || mentions.contains(user) ? .wake : .observer
        case .dm:
            return .wake
        case .report:
            return .observer
        case .custom:
            return listeners.contains(user) ? .wake : .observer
        case .triage:
            if onDuty.contains(user) || mentions.contains(user) { return .wake }
            return user == admin ? .observer : .skip
        case .announce:
            return busy.contains(user) ? .skip : .observer
        case .discuss, .work:
            return user == speaker ? .wake : .observer
        }
    }
}
