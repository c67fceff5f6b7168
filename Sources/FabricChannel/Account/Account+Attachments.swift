import ChannelStore
import FabricAPI
import Foundation
import HTTPTransfer
import JSONBytes
import Logging

/// Files: those of a wake delivery, fetched before it is handed over and removed when its turn is over; and those of
/// messages, kept until they are sent.
extension Account {
    /// Fetches the files of a turn's message; what fails is named with the reason, and the message is delivered all the
    /// same.
    func fetch(_ id: String, into directory: String?) {
        if let turn = inbox.turn(id), needsRecent(turn) {
            run { account in
                await account.readRecent(turn)
                account.fetchFiles(id, into: directory)
            }
        } else {
            fetchFiles(id, into: directory)
        }
    }

    private func fetchFiles(_ id: String, into directory: String?) {
        guard let directory, let turn = inbox.turn(id), let link = links[turn.guild] else {
            return handle(.fetched(id))
        }
        let files = turn.message.message.withUnsafeBytes { text in
            FabricAttachment.read(
                FabricMessageView(JSONView(validated: text, start: 0, end: text.count))?.attachments)
        }
        run { account in
            let fetched = await account.fetch(files, into: directory, link: link)
            account.media.put(id, fetched)
            account.handle(.fetched(id))
        }
    }

    private func fetch(
        _ files: [FabricAttachment], into directory: String, link: GuildLink
    ) async -> FetchedMedia.Files {
        var fetched = FetchedMedia.Files()
        guard !files.isEmpty else { return fetched }
        // For all of them together: who sends slow files must not silence the agent.
        let deadline = ContinuousClock.now.advanced(by: min(.seconds(600), settings.turnTimeout / 2))
        // Sixty-four is far above what people attach; a message with more is an attack on the disk.
        let accepted = files.prefix(64)
        do {
            try MediaDirectory.make(directory)
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
                    try await fetch(file, as: name, in: directory, link: link, deadline: deadline))
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
        _ file: FabricAttachment, as name: String, in directory: String, link: GuildLink,
        deadline: ContinuousClock.Instant
    ) async throws -> DeliveredMedia {
        let limit = settings.attachmentBytes
        if let size = file.size, size > limit { throw AttachmentTooLarge(size: size, limit: limit) }
        let path = directory + "/" + name
        let download = try await withGuildToken(link.nodeId) { token in
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else { throw AttachmentTooLate() }
            return try await link.guild.download(
                url: file.url, to: path, maximumBytes: limit, token: token, deadline: left)
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
        if error is AttachmentTooLate {
            return "no time was left: the files of a message have half the turn's, at most 10 min"
        }
        if let error = error as? FabricError, error.isTooLarge {
            return AttachmentTooLarge(size: nil, limit: settings.attachmentBytes).text
        }
        return operatorText(error)
    }

    /// A turn is over: its files go. There are none where none could be fetched.
    func removeMedia(_ directory: String) {
        guard access(directory, F_OK) == 0 else { return }
        do {
            try FileManager.default.removeItem(atPath: directory)
        } catch {
            logger.warning("attachments not removed", metadata: ["path": "\(directory)", "reason": "\(error)"])
        }
        // The last one takes the directory of an instance that is gone with it.
        let parent = directory.prefix(upTo: directory.lastIndex(of: "/") ?? directory.startIndex)
        if parent != environment.mediaDirectory { rmdir(String(parent)) }
    }

    // MARK: Files of messages

    /// Copying may take long, so it is not done on the loop.
    func keepFiles(of entry: String, _ media: [StoredMedia]) {
        let (root, account, store) = (environment.outboxDirectory, id, environment.store as? any SharedStore)
        run { actor in
            let kept = await Task.detached { () -> Result<[StoredMedia], OutboxFiles.FileProblem> in
                Result { () throws(OutboxFiles.FileProblem) in
                    try OutboxFiles.keep(media, root: root, account: account, entry: entry)
                }
            }.value
            switch kept {
            case .success(let media):
                if let store { await actor.share(media, of: entry, in: store) }
                actor.handle(.filesKept(entry, media))
            case .failure(let problem): actor.handle(.filesLost(entry, reason: problem.text))
            }
        }
    }

    /// Another gateway that takes the account over has no file of this machine. A message whose files cannot be shared is
    /// sent all the same, from here.
    private func share(_ media: [StoredMedia], of entry: String, in store: any SharedStore) async {
        for (number, file) in media.enumerated() {
            var reason = "it is larger than a database should hold, or cannot be read"
            do {
                if try await store.keepFile(account: id, entry: entry, index: number, path: file.path) { continue }
                // Then the message will be refused too.
                guard store.leases[id] != nil else { return }
            } catch { reason = "\(error)" }
            logger.warning(
                "a file is kept on this machine only", metadata: ["file": "\(file.name)", "reason": "\(reason)"])
        }
    }

    func dropFiles(of entry: String) {
        OutboxFiles.drop(root: environment.outboxDirectory, account: id, entry: entry)
    }
}

/// The files before it took all the time there is.
struct AttachmentTooLate: Error, Sendable {}

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
