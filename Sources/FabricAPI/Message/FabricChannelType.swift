import JSONBytes

/// What kind of channel; it decides who is woken by a message (Documentation/Fabric.md, "Who is woken").
public enum FabricChannelType: String, Sendable, Codable, CaseIterable {
    case general, work, report, discuss, triage, custom, dm, announce
    /// One this client does not know.
    case unknown

    /// As the wire spells it.
    public init(spelling: String) {
        self = FabricChannelType(rawValue: spelling) ?? .unknown
    }

    /// Without allocation; nil if the value is no string.
    init?(_ view: JSONView) {
        guard view.kind == .string else { return nil }
        switch view.rawBytes.count &- 2 {
        case 2: self = view.equals("dm") ? .dm : .unknown
        case 4: self = view.equals("work") ? .work : .unknown
        case 6:
            self =
                view.equals("report")
                ? .report : view.equals("triage") ? .triage : view.equals("custom") ? .custom : .unknown
        case 7: self = view.equals("general") ? .general : view.equals("discuss") ? .discuss : .unknown
        case 8: self = view.equals("announce") ? .announce : .unknown
        default: self = .unknown
        }
    }
}
