/// One thing that is wrong in a configuration, and how to mend it.
public struct SettingsError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The file it stands in, empty if the text came from elsewhere.
    public var file: String
    /// From the top of the file, as `channels.fabric.accounts.echo.fabricApiKey`; empty for the file itself.
    public var keyPath: String
    /// Line in the file, from 1, if known.
    public var line: Int?
    public var problem: String
    public var remedy: String

    public init(file: String, keyPath: String, line: Int? = nil, problem: String, remedy: String) {
        self.file = file
        self.keyPath = keyPath
        self.line = line
        self.problem = problem
        self.remedy = remedy
    }

    public var description: String {
        var place = file.isEmpty ? "configuration" : file
        if let line { place += ":\(line)" }
        if !keyPath.isEmpty { place += ": \(keyPath)" }
        return "\(place): \(problem). \(remedy)"
    }
}

/// Everything that is wrong in a configuration, in the order in which it was found; never empty.
public struct SettingsErrors: Error, Sendable, Equatable, CustomStringConvertible {
    public let errors: [SettingsError]

    public init(_ errors: [SettingsError]) { self.errors = errors }

    public var description: String { errors.map(\.description).joined(separator: "\n") }
}

/// Collects what is found while a configuration is read, so that an operator sees all of it at once.
public final class SettingsFindings {
    public private(set) var errors: [SettingsError] = []

    public init() {}

    public var isEmpty: Bool { errors.isEmpty }

    /// Adds a finding about a node.
    public func add(_ node: SettingsNode, _ problem: String, remedy: String) {
        let place = node.place
        add(
            SettingsError(
                file: place.file, keyPath: node.keyPath, line: place.line, problem: problem, remedy: remedy))
    }

    public func add(_ error: SettingsError) { errors.append(error) }

    /// Throws all findings, if there are any.
    public func throwIfAny() throws(SettingsErrors) {
        if !errors.isEmpty { throw SettingsErrors(errors) }
    }
}
