import FabricAPI

/// What a message is to an agent: a reason to run, something to remember, or nothing.
enum Disposition: Equatable, Sendable {
    /// Run the agent.
    case wake
    /// Hand it over for the record, without running the agent.
    case record
    /// Neither.
    case ignore
}

/// Who is woken by what (Documentation/Fabric.md, "Who is woken").
enum WakeRule {
    /// For a live message: the guild decided, per recipient.
    @inline(__always)
    static func live(_ type: FabricChannelType, wakeup: Bool) -> Disposition {
        if wakeup || type == .dm { return .wake }
        return type == .triage ? .ignore : .record
    }

    /// The guild waits for one member after the other, and tells only the one whose turn it is.
    static func takesTurns(_ type: FabricChannelType) -> Bool { type == .discuss || type == .work }

    /// What is known of a message read from history, where the guild's decision is not stored.
    struct Evidence: Equatable, Sendable {
        var mentionsAgent: Bool
        var mentionsAnyone: Bool
        /// Written by the guild itself, as the all-zero author or as a command such as `/ack`.
        var fromSystem: Bool
    }

    /// For a message read from history: infers the decision from the delivery rules. Where the rules depend on state
    /// that history does not show (whose turn it is, who is on duty), only a mention wakes.
    static func history(_ type: FabricChannelType, evidence: Evidence, infer: Bool) -> Disposition {
        let wakes: Bool
        switch type {
        case .dm: wakes = !evidence.fromSystem
        case .general: wakes = evidence.mentionsAgent || (!evidence.mentionsAnyone && !evidence.fromSystem)
        case .discuss, .work, .triage: wakes = evidence.mentionsAgent
        case .unknown: wakes = evidence.mentionsAgent
        case .report, .custom, .announce: wakes = false
        }
        if wakes && infer { return .wake }
        return type == .triage ? .ignore : .record
    }
}
