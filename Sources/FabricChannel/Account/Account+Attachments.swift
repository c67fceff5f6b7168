import FabricAPI
import Foundation
import HTTPTransfer
import Logging

/// Files of a wake delivery: fetched before it is handed over, removed when its turn is over.
extension Account {
    struct Fetched: Sendable {
        var media: [DeliveredMedia] = []
        var failed: [FailedMedia] = []
        var directory: String?
    }

    /// Downloads the files into a private directory. A file that fails is named with the reason; the message is
    /// delivered all the same.
    func fetch(_ files: [FabricAttachment], delivery: String, link: GuildLink) async -> Fetched {
        var fetched = Fetched()
        // Sixty-four is far above what people attach; a message with more is an attack on the disk.
        let accepted = files.prefix(64)
        let directory: String
        do {
            directory = try MediaDirectory.make(in: environment.mediaDirectory, account: id)
            fetched.directory = directory
        } catch {
            logger.error("no directory for attachments", metadata: ["reason": "\(error)"])
            fetched.failed = files.map {
                FailedMedia(name: AttachmentName.safe($0.name), reason: "no directory for attachments: \(error)")
            }
            return fetched
        }
        var taken: Set<String> = []
        for file in accepted {
            let name = AttachmentName.unique(AttachmentName.safe(file.name ?? lastPathPart(of: file.url)), taken: taken)
            taken.insert(name.lowercased())
            do {
                fetched.media.append(
                    try await fetch(file, as: name, in: directory, link: link))
            } catch {
                let reason = attachmentReason(error)
                fetched.failed.append(FailedMedia(name: name, reason: reason))
                logger.warning(
                    "attachment not fetched",
                    metadata: ["guild": "\(link.nodeId)", "file": "\(name)", "reason": "\(reason)"])
            }
        }
        for file in files.dropFirst(accepted.count) {
            fetched.failed.append(
                FailedMedia(name: AttachmentName.safe(file.name), reason: "more than 64 files in one message"))
        }
        return fetched
    }

    private func fetch(
        _ file: FabricAttachment, as name: String, in directory: String, link: GuildLink
    ) async throws -> DeliveredMedia {
        let limit = settings.attachmentBytes
        if let size = file.size, size > limit { throw AttachmentTooLarge(size: size, limit: limit) }
        let path = directory + "/" + name
        let download = try await withGuildToken(link.nodeId) { token in
            try await link.guild.download(url: file.url, to: path, maximumBytes: limit, token: token)
        }
        return DeliveredMedia(
            path: path, name: name, mediaType: try MediaDirectory.mediaType(of: path, claimed: file.mediaType),
            bytes: download.bytes)
    }

    private func lastPathPart(of url: String) -> String? {
        url.prefix { $0 != "?" && $0 != "#" }.split(separator: "/").last.map(String.init)
    }

    private func attachmentReason(_ error: any Error) -> String {
        if let error = error as? AttachmentTooLarge { return error.text }
        if let error = error as? FabricError, error.isTooLarge {
            return AttachmentTooLarge(size: nil, limit: settings.attachmentBytes).text
        }
        return operatorText(error)
    }

    /// A turn is over: its files go, unless its answer sends one of them back; then they go when it was sent.
    func releaseMedia(_ directory: String?) {
        guard let directory else { return }
        if outbox.uses(filesIn: directory) {
            heldMedia.append(directory)
        } else {
            removeMedia(directory)
        }
    }

    /// A message was sent or given up.
    func releaseHeldMedia() {
        guard !heldMedia.isEmpty else { return }
        let free = heldMedia.filter { !outbox.uses(filesIn: $0) }
        heldMedia.removeAll { free.contains($0) }
        for directory in free { removeMedia(directory) }
    }

    /// Messages of an earlier instance may still send files from its directories: these go when they were sent.
    func adoptHeldMedia() {
        // Below the state directory every instance has its own; a file from elsewhere belongs to somebody else.
        let base = environment.mediaDirectory.prefix(
            upTo: environment.mediaDirectory.lastIndex(of: "/") ?? "".startIndex)
        let turns = Set(restored.deliveries.compactMap(\.mediaDirectory))
        let held = Set(restored.outbox.flatMap(\.mediaDirectories)).subtracting(turns)
        heldMedia += held.filter { !base.isEmpty && $0.hasPrefix(base + "/") && $0 != base }
    }

    func removeMedia(_ directory: String?) {
        guard let directory else { return }
        do {
            try FileManager.default.removeItem(atPath: directory)
        } catch {
            logger.warning("attachments not removed", metadata: ["path": "\(directory)", "reason": "\(error)"])
        }
        // The last one takes the directory of an instance that is gone with it.
        let parent = directory.prefix(upTo: directory.lastIndex(of: "/") ?? directory.startIndex)
        if parent != environment.mediaDirectory { rmdir(String(parent)) }
    }
}

/// A file over the configured cap.
struct AttachmentTooLarge: Error, Sendable {
    /// What the message claims; nil when only the download showed it.
    var size: Int64?
    var limit: Int64

    var text: String {
        let cap = "the limit of \(limit) bytes (channels.fabric.attachments.maximumMegabytes)"
        return size.map { "\($0) bytes are over \(cap)" } ?? "over \(cap)"
    }
}
