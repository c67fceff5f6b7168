import FabricAPI
import FabricTools
import Foundation
import JSONBytes
import Settings

/// Files of tools: those they send, and those they fetch.
extension Account {
    /// Whether the files of a call may be sent.
    ///
    /// What an agent's turn sends is confined to its own files: a model that others talk to must not post the machine's
    /// others, keys above all.
    func check(_ files: [ToolArguments.File], _ call: ToolCall) throws(ToolFailure) {
        for file in files {
            guard let path = FileText.existingPath(file.path), FileManager.default.isReadableFile(atPath: path) else {
                throw ToolFailure(
                    .invalidArgument, "the file \(file.path) does not exist or cannot be read", argument: "files")
            }
            guard let directories = call.filesBelow else { continue }
            var roots = directories
            if let turn = call.turn?.delivery {
                roots += tools.downloads.of(turn)
                if let own = inbox.turn(turn)?.mediaDirectory { roots.append(own) }
            }
            guard
                !roots.compactMap(FileText.existingPath).contains(where: { path.hasPrefix($0 == "/" ? $0 : $0 + "/") })
            else {
                continue
            }
            let places =
                directories.isEmpty ? "" : "lie in \(directories.joined(separator: " or in ")), or "
            throw ToolFailure(
                .refused,
                "the file \(file.path) is not this turn's: what it sends must \(places)have been fetched for it",
                argument: "files")
        }
    }

    func downloadFile(_ call: ToolCall) async throws -> JSONValue {
        let guild = try await guild(of: call)
        let wanted = call.arguments.need("fileId")
        let url = wanted.contains("/") ? wanted : FabricAttachment.place(ofFile: wanted)
        let last = wanted.prefix { $0 != "?" && $0 != "#" }.split(separator: "/").last.map(String.init)
        let name = AttachmentName.safe(call.arguments.text("name") ?? last)
        let directory = tools.downloads.directory(below: environment.mediaDirectory, turn: call.turn?.delivery)
        for old in directory.outdated { removeMedia(old) }
        try MediaDirectory.make(directory.path)
        let path = directory.path + "/" + name
        let limit = settings.attachmentBytes
        let file = try await withGuildToken(guild.nodeId) { token in
            try await guild.guild.download(url: url, to: path, maximumBytes: limit, token: token)
        }
        return [
            "path": .string(path), "name": .string(name), "bytes": .int(file.bytes),
            "mediaType": .string(try MediaDirectory.mediaType(of: path, claimed: nil)),
        ]
    }
}

/// Files that tools fetched: those of a turn until it is over, the others as long as few came after them.
struct ToolDownloads {
    /// How many downloads outside of turns are kept; ours.
    static let kept = 32

    private var ofTurns: [String: [String]] = [:]
    private var others: [String] = []

    /// A new directory, and those whose files go for it.
    mutating func directory(below root: String, turn: String?) -> (path: String, outdated: [String]) {
        let path = "\(root)/download-\(UUID().uuidString.lowercased())"
        if let turn {
            ofTurns[turn, default: []].append(path)
            return (path, [])
        }
        others.append(path)
        guard others.count > Self.kept else { return (path, []) }
        return (path, [others.removeFirst()])
    }

    /// The directories of a turn.
    func of(_ turn: String) -> [String] { ofTurns[turn] ?? [] }

    /// The turn is over: its directories.
    mutating func end(_ turn: String) -> [String] { ofTurns.removeValue(forKey: turn) ?? [] }

    /// The account has stopped: all of them.
    mutating func endAll() -> [String] {
        defer { self = ToolDownloads() }
        return ofTurns.values.flatMap(\.self) + others
    }
}
