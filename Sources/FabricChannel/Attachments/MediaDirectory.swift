import Foundation

/// Private directories for the attachments of one turn.
enum MediaDirectory {
    /// Makes a directory, readable by this user only.
    static func make(_ path: String) throws {
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    /// What a downloaded file is, by its first bytes.
    static func mediaType(of path: String, claimed: String?) throws -> String {
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? file.close() }
        let head = try file.read(upToCount: MediaTypeSniffer.bytesNeeded) ?? Data()
        return MediaTypeSniffer.sniff(Array(head), claimed: claimed)
    }
}
