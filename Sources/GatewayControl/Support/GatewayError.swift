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
        let text = Self.sentences(place.isEmpty ? problem : "\(place): \(problem)", remedy)
        // One finding alone is what was just said.
        return findings.count > 1 ? ([text] + findings).joined(separator: "\n  ") : text
    }

    /// What happened and what to do, each with its full stop and no more.
    static func sentences(_ problem: String, _ remedy: String) -> String {
        if remedy.isEmpty { return problem }
        func ended(_ text: String) -> String { text.last.map { ".?!".contains($0) } == true ? text : text + "." }
        return ended(problem) + " " + ended(remedy)
    }
}
