/// What the gateway could not do: what happened, where, and what the operator can do.
public struct GatewayError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What happened.
    public var problem: String
    /// File and key path, directory, account.
    public var place: String
    /// What the operator can do.
    public var remedy: String
    /// Every finding, where there are several.
    public var findings: [String]

    /// An error with all it takes to act on it.
    public init(_ problem: String, place: String = "", remedy: String = "", findings: [String] = []) {
        self.problem = problem
        self.place = place
        self.remedy = remedy
        self.findings = findings
    }

    /// Any error of the host's as one of this kind.
    public init(_ error: any Error) {
        switch error {
        case let error as GatewayError: self = error
        case let error as ModuleError: self.init(error.problem, place: error.place, remedy: error.remedy)
        case let error as ModuleRefusal:
            self.init(error.problem, place: error.place, remedy: error.remedy, findings: error.findings)
        default: self.init("\(error)")
        }
    }

    /// Place, problem, remedy, and each finding on a line of its own.
    public var description: String {
        var text = place.isEmpty ? problem : "\(place): \(problem)"
        if !remedy.isEmpty { text += ". \(remedy)." }
        for finding in findings { text += "\n  \(finding)" }
        return text
    }
}
