import Foundation
import JSONBytes
import Settings

/// Which database this gateway shares its accounts through, for a new build of the module that is loaded into the same process:
/// accounts are handed to it with their leases, and these are of that database.
struct RememberedStore: Equatable {
    /// Database, schema and name; no secret.
    var store: String
    /// The process that shares it; see `RememberedIdentities.thisProcess`.
    var process: String

    /// In the state directory.
    private static func path(_ stateDirectory: String) -> String { stateDirectory + "/sharing.json" }

    static func read(_ stateDirectory: String) -> RememberedStore? {
        guard case .success(let text) = FileText.read(path(stateDirectory), limit: 64 << 10),
            let value = try? JSONValue(parsing: text), let store = value["store"]?.string
        else { return nil }
        return RememberedStore(store: store, process: value["process"]?.string ?? "")
    }

    /// Keeps it; nil where nothing is shared. That it could not be kept costs a module reload a check, and nothing else.
    static func write(_ store: RememberedStore?, _ stateDirectory: String) {
        guard read(stateDirectory) != store else { return }
        let path = path(stateDirectory)
        guard let store else {
            unlink(path)
            return
        }
        let json: JSONValue = ["store": .string(store.store), "process": .string(store.process)]
        StateFile.replace(path, with: json)
    }
}
