import ChannelStore
import Foundation
import JSONBytes
import Sessions

/// What one instance hands to the next for an account: positions, unsettled deliveries, unsent messages, and the session.
/// It holds tokens: it lives in memory only.
struct Handover: Sendable {
    var stored: StoredAccount
    var session: SessionSnapshot?

    init(stored: StoredAccount, session: SessionSnapshot?) {
        self.stored = stored
        self.session = session
    }

    /// Where the attachments of its turns and of its messages are.
    var mediaDirectories: Set<String> {
        Set(stored.deliveries.compactMap(\.mediaDirectory)).union(stored.outbox.flatMap(\.mediaDirectories))
    }

    private struct Wire: Codable {
        var format: Int
        var stored: StoredAccount
        var session: SessionSnapshot?
    }

    /// Counts the forms of the hand-over; another one is refused, and the account starts from the store and a login.
    private static let format = 1

    var json: JSONValue {
        let wire = Wire(format: Self.format, stored: stored, session: session)
        guard let data = try? JSONEncoder().encode(wire) else { return .null }
        return .string(data.base64EncodedString())
    }

    /// Nil where there is none.
    static func read(_ value: JSONValue?, account: String) throws(ChannelProblem) -> Handover? {
        guard let value, value != .null else { return nil }
        return try Handover(value, account: account)
    }

    private init(_ value: JSONValue, account: String) throws(ChannelProblem) {
        guard let text = value.string, let data = Data(base64Encoded: text),
            let wire = try? JSONDecoder().decode(Wire.self, from: data), wire.format == Self.format
        else {
            throw ChannelProblem(
                .invalid, "the hand-over is not one that this version understands", at: "account \(account)",
                remedy: "start the account without it")
        }
        stored = wire.stored
        session = wire.session
    }
}

extension OutboxEntry {
    /// Where the files are that it still has to upload.
    var mediaDirectories: [String] {
        media.filter { $0.uploaded == nil }.map {
            String($0.path.prefix(upTo: $0.path.lastIndex(of: "/") ?? $0.path.startIndex))
        }
    }
}
