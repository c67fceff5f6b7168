import Foundation

/// Private directories for the attachments of one turn.
enum MediaDirectory {
    /// Makes a new directory, readable by this user only, below `root`.
    static func make(in root: String, account: String) throws -> String {
        let name = AttachmentName.safe(account, fallback: "account").prefix(60)
        let path = "\(root)/\(name)-\(UUID().uuidString.lowercased())"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        return path
    }

    /// Removes what an earlier process left.
    static func sweep(_ root: String) {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: root) else { return }
        for name in names { try? FileManager.default.removeItem(atPath: root + "/" + name) }
    }

    /// What a downloaded file is, by its first bytes.
    static func mediaType(of path: String, claimed: String?) throws -> String {
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? file.close() }
        let head = try file.read(upToCount: MediaTypeSniffer.bytesNeeded) ?? Data()
        return MediaTypeSniffer.sniff(Array(head), claimed: claimed)
    }
}
