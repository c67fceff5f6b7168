import ChannelStore
import Foundation
import Glibc

/// The files of messages that are not sent yet: kept apart from the turn they come from, and removed with their message.
enum OutboxFiles {
    /// Where the files of one account's messages are.
    private static func directory(_ root: String, account: String) -> String {
        "\(root)/\(AttachmentName.safe(account, fallback: "account").prefix(60))-\(digest(account))"
    }

    private static func directory(_ root: String, account: String, entry: String) -> String {
        "\(directory(root, account: account))/\(digest(entry))"
    }

    static func path(_ root: String, account: String, entry: String, _ number: Int) -> String {
        "\(directory(root, account: account, entry: entry))/\(number)"
    }

    private static func digest(_ text: String) -> String {
        String(Array(text.utf8).withUnsafeBytes { byteHash($0) }, radix: 16)
    }

    /// Keeps the files of a message: a second name where the file system allows it, which costs nothing and outlives the
    /// first, else a copy.
    /// - Returns: the files under their new paths.
    /// - Throws: a `RequestProblem`-like text naming the file that cannot be read.
    static func keep(
        _ media: [StoredMedia], root: String, account: String, entry: String
    ) throws(FileProblem) -> [StoredMedia] {
        let directory = directory(root, account: account, entry: entry)
        do {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw FileProblem(text: "the directory \(directory) for unsent files cannot be made: \(error)")
        }
        var kept: [StoredMedia] = []
        for (number, file) in media.enumerated() {
            let path = path(root, account: account, entry: entry, number)
            unlink(path)
            if link(file.path, path) != 0 {
                do {
                    try FileManager.default.copyItem(atPath: file.path, toPath: path)
                } catch {
                    throw FileProblem(text: "the file \(file.path) cannot be kept until it is sent: \(error)")
                }
            }
            var file = file
            file.path = path
            kept.append(file)
        }
        return kept
    }

    /// Puts what other gateways kept of the files of messages where this one keeps its own, as far as it is not there.
    /// - Returns: the messages with the paths of this machine. A file that cannot be had is missing at its path, which fails
    ///   when it is sent. The path that the store has is not believed, or whoever has the database could have any file of
    ///   this machine posted; but for one of another gateway's of this machine, which has the form that `keep` gives it.
    static func restore(
        _ entries: [OutboxEntry], root: String, account: String, from store: any SharedStore
    ) async throws -> [OutboxEntry] {
        var entries = entries
        for index in entries.indices {
            let entry = entries[index].id
            for (number, file) in entries[index].media.enumerated() {
                let path = path(root, account: account, entry: entry, number)
                entries[index].media[number].path = path
                guard file.uploaded == nil, access(path, R_OK) != 0 else { continue }
                if isKept(file.path, as: path, below: root) {
                    entries[index].media[number].path = file.path
                    continue
                }
                let directory = directory(root, account: account, entry: entry)
                try? FileManager.default.createDirectory(
                    atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
                _ = try await store.restoreFile(account: account, entry: entry, index: number, to: path)
            }
        }
        return entries
    }

    /// Whether another gateway of this machine keeps a file there: in an `outbox`, under the same names below it as here.
    private static func isKept(_ other: String, as path: String, below root: String) -> Bool {
        let names = Array("/outbox".utf8) + path.utf8.dropFirst(root.utf8.count)
        let bytes = Array(other.utf8)
        guard bytes.count > names.count, bytes.suffix(names.count) == names[...], !bytes.contains(0) else {
            return false
        }
        var facts = stat()
        return lstat(other, &facts) == 0 && facts.st_mode & S_IFMT == S_IFREG && access(other, R_OK) == 0
    }

    /// A message was sent, or dropped.
    static func drop(root: String, account: String, entry: String) {
        try? FileManager.default.removeItem(atPath: directory(root, account: account, entry: entry))
        rmdir(directory(root, account: account))
    }

    /// Removes what no message needs: a crash can leave it behind.
    static func sweep(_ root: String, account: String, keeping entries: [OutboxEntry]) {
        let base = directory(root, account: account)
        // Most accounts have none, and every start comes by here: an error of FileManager costs more than the look.
        guard access(base, F_OK) == 0, let names = try? FileManager.default.contentsOfDirectory(atPath: base) else {
            return
        }
        let wanted = Set(entries.filter { !$0.media.isEmpty }.map { digest($0.id) })
        for name in names where !wanted.contains(name) {
            try? FileManager.default.removeItem(atPath: "\(base)/\(name)")
        }
        rmdir(base)
    }

    /// Why a file cannot be sent.
    struct FileProblem: Error {
        var text: String
    }
}
