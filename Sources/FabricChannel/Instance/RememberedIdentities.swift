import FabricAccounts
import Foundation
import JSONBytes
import Settings

/// The accounts of the identity file, as the last configuration that could read it had them. A file that is broken, or gone,
/// at the next start would make them vanish without a word; so they are shown, with the reason, and do not run.
struct RememberedIdentities: Equatable {
    /// The identity file.
    var file: String
    var accounts: [String]
    /// The process that read it.
    var process: String

    /// In the state directory; agent ids only, no key.
    private static func path(_ stateDirectory: String) -> String { stateDirectory + "/identities.json" }

    /// What is remembered of an identity file; nil if nothing is.
    static func read(_ stateDirectory: String, of file: String) -> RememberedIdentities? {
        guard case .success(let text) = FileText.read(path(stateDirectory), limit: SettingsDocument.largestFile),
            let value = try? JSONValue(parsing: text), value["file"]?.string == file
        else { return nil }
        return RememberedIdentities(
            file: file, accounts: (value["accounts"]?.array ?? []).compactMap(\.string),
            process: value["process"]?.string ?? "")
    }

    /// Keeps it. Only a change is written; that it could not be costs the next start a warning, and nothing else.
    func write(_ stateDirectory: String) {
        guard Self.read(stateDirectory, of: file) != self else { return }
        let json: JSONValue = [
            "file": .string(file), "process": .string(process), "accounts": .array(accounts.map { .string($0) }),
        ]
        StateFile.replace(Self.path(stateDirectory), with: json)
    }

    /// This process, and no other of its number: with the time it was started, as the kernel counts it.
    static let thisProcess: String = {
        guard case .success(let text) = FileText.read("/proc/self/stat", limit: 4096) else { return "\(getpid())" }
        let fields = String(decoding: text, as: UTF8.self).split(separator: ")").last?.split(separator: " ") ?? []
        return "\(getpid())-\(fields.count > 19 ? fields[19] : "")"
    }()
}
