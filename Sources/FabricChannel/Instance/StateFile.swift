import Foundation
import JSONBytes

/// A small file in the state directory that only speeds up or explains what would happen without it.
enum StateFile {
    /// Replaces it, for the owner only. That it could not be is no error: see above.
    static func replace(_ path: String, with json: JSONValue) {
        let fresh = path + ".new"
        // A link in its place is not written through.
        unlink(fresh)
        let isMade = FileManager.default.createFile(
            atPath: fresh, contents: Data(json.serialized), attributes: [.posixPermissions: 0o600])
        if isMade, rename(fresh, path) != 0 { unlink(fresh) }
    }
}
