import GatewayControl
import Settings

/// One thing the doctor found: what, where, how to mend it.
public struct DoctorFinding: Sendable, Equatable {
    public enum Level: String, Sendable, CaseIterable {
        case good
        /// Worth knowing, and no fault.
        case note
        case warning, error
    }

    public var level: Level
    public var what: String
    public var place: String
    /// Empty only if the finding is good or a note.
    public var remedy: String

    public init(_ level: Level, _ what: String, at place: String, remedy: String = "") {
        self.level = level
        self.what = what
        self.place = place
        self.remedy = remedy
    }

    /// With its commands as they are typed.
    func spelled(_ names: CommandNames) -> DoctorFinding {
        DoctorFinding(level, names.spell(what), at: place, remedy: names.spell(remedy))
    }

    /// A mistake in a file.
    init(_ error: SettingsError) {
        let line = error.line.map { ":\($0)" } ?? ""
        let problem = error.keyPath.isEmpty ? error.problem : "\(error.keyPath): \(error.problem)"
        self.init(.error, problem, at: error.file + line, remedy: error.remedy)
    }
}
