import Foundation

/// Private directories for the attachments of one turn.
enum MediaDirectory {
    /// Makes a directory, readable by this user only.
    static func make(_ path: String) throws {
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    /// Whether a directory is one that a turn of this state directory may have had, `<media>/<instance>/<turn>`. What a store says
    /// of others is not believed: what it names is removed in the end, and its files may be sent, but a store that gateways share
    /// is not trusted with this machine.
    /// - Parameter instance: the present instance's directory, beside which those of others lie.
    static func isOfATurn(_ path: String, beside instance: String) -> Bool {
        let media = Array(
            instance.utf8.prefix(upTo: instance.utf8.lastIndex(of: UInt8(ascii: "/")) ?? instance.startIndex))
        let bytes = Array(path.utf8)
        guard bytes.starts(with: media + [UInt8(ascii: "/")]), !bytes.contains(0) else { return false }
        let parts = bytes.dropFirst(media.count + 1)
            .split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map { Array($0) }
        return parts.count == 2 && parts.allSatisfy { !$0.isEmpty && $0 != Array(".".utf8) && $0 != Array("..".utf8) }
    }

    /// What a downloaded file is, by its first bytes.
    static func mediaType(of path: String, claimed: String?) throws -> String {
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? file.close() }
        let head = try file.read(upToCount: MediaTypeSniffer.bytesNeeded) ?? Data()
        return MediaTypeSniffer.sniff(Array(head), claimed: claimed)
    }
}
