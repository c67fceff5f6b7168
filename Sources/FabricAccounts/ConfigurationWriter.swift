import Glibc
import JSONBytes
import Settings

/// Additions to a gateway's configuration file, which is people's: all else in it stays, byte for byte.
public struct ConfigurationWriter: Sendable {
    public let path: String

    public init(path: String) { self.path = path }

    /// Adds an agent under `agents`, in one step, keeping the file's mode.
    /// - Returns: false if an agent of that name is there already; nothing was changed then.
    /// - Throws: ``SettingsError``; nothing was changed then.
    public func addAgent(_ id: String, _ entry: JSONValue) throws(SettingsError) -> Bool {
        let target = FileText.realPath(path)
        let lock = try AtomicFile.lock(target + ".lock")
        defer { lock.release() }
        let text: [UInt8]
        switch FileText.read(target, limit: SettingsDocument.largestFile) {
        case .failure(let error):
            throw SettingsError(file: path, keyPath: "", problem: error.problem, remedy: error.remedy)
        case .success(let bytes): text = bytes
        }
        let findings = SettingsFindings()
        let node = SettingsDocument.parse(text, file: path, findings: findings)
        if let first = findings.errors.first { throw first }
        if node?["agents"]?[id] != nil { return false }
        let value = String(decoding: entry.serialized, as: UTF8.self)
        guard let changed = SettingsEditor.insert(id, value, at: ["agents"], in: text),
            SettingsDocument.parse(changed, file: path, findings: findings)?["agents"]?[id]?.json == entry
        else {
            throw SettingsError(
                file: path, keyPath: "agents", problem: "the agent cannot be added here",
                remedy: "Write there: \(String(decoding: JSONValue.string(id).serialized, as: UTF8.self)): \(value)")
        }
        var status = stat()
        let mode = stat(target, &status) == 0 ? status.st_mode & 0o777 : 0o600
        try AtomicFile.replace(target, with: changed, mode: mode) { _ throws(SettingsError) in }
        return true
    }
}
