import ChannelStore
import Foundation
import JSONBytes
import Sessions

/// What one instance hands to the next for an account: that the gateway still has what was handed over, and the session.
/// Everything else is in the store. It holds tokens: it lives in memory only.
struct Handover: Sendable {
    var session: SessionSnapshot?
    /// The right to run the account, where gateways share it.
    var lease: AccountLease?
    /// Turns that agents may still be at, although the account may go on at another gateway.
    var lostTurns: [String] = []
    /// Where the attachments of turns are that go on; not part of what is handed over, the store has it.
    var mediaDirectories: Set<String> = []

    init(session: SessionSnapshot?, mediaDirectories: Set<String> = []) {
        self.session = session
        self.mediaDirectories = mediaDirectories
    }

    private struct Wire: Codable {
        var format: Int
        var session: SessionSnapshot?
        var lease: AccountLease?
        var lostTurns: [String]?
    }

    /// Counts the forms of the hand-over; another one is refused, and the account starts from the store and a login.
    private static let format = 2

    var json: JSONValue {
        let wire = Wire(
            format: Self.format, session: session, lease: lease, lostTurns: lostTurns.isEmpty ? nil : lostTurns)
        guard let data = try? JSONEncoder().encode(wire) else { return .null }
        return .string(data.base64EncodedString())
    }

    /// Nil where there is none.
    static func read(_ value: JSONValue?, account: String) throws(RequestProblem) -> Handover? {
        guard let value, value != .null else { return nil }
        return try Handover(value, account: account)
    }

    private init(_ value: JSONValue, account: String) throws(RequestProblem) {
        guard let text = value.string, let data = Data(base64Encoded: text),
            let wire = try? JSONDecoder().decode(Wire.self, from: data), wire.format == Self.format
        else {
            throw RequestProblem(
                .invalid, "the hand-over is not one that this version understands", at: "account \(account)",
                remedy: "start the account without it")
        }
        session = wire.session
        lease = wire.lease
        lostTurns = wire.lostTurns ?? []
    }
}
