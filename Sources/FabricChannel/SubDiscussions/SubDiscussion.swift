import ChannelStore
import Foundation

/// A discussion with guests in a channel of its own, whose result comes back to where it began. To Fabric it is an
/// ordinary channel; who its host is, what each is told and where the result goes is ours to keep.
struct SubDiscussion: Codable, Equatable, Sendable {
    var key: ChannelKey
    var hostUser: String
    var guestUsers: [String]
    var hostGuide: String
    var guestGuide: String
    var callback: ChannelKey
    /// The result was posted, and the channel is still to be closed.
    var isReported = false

    /// What a user is told at every turn in it; nil for one who takes no part, or whom nothing is to be told.
    func guide(for user: String) -> String? {
        let guide = user == hostUser ? hostGuide : guestUsers.contains(user) ? guestGuide : ""
        return guide.isEmpty ? nil : guide
    }

    // MARK: Kept

    static let notePrefix = "sub-discussion/"
    var noteName: String { Self.notePrefix + key.guild + "/" + key.channel }

    /// The change that keeps it.
    var kept: StoreChange { .note(noteName, (try? JSONEncoder().encode(self)).map { Array($0) }) }
    /// The change that forgets it.
    var forgotten: StoreChange { .note(noteName, nil) }

    /// Those that are kept of an account. What cannot be read is left where it is.
    static func read(_ notes: [String: [UInt8]]) -> [SubDiscussion] {
        notes.filter { $0.key.hasPrefix(notePrefix) }.sorted { $0.key < $1.key }
            .compactMap { try? JSONDecoder().decode(SubDiscussion.self, from: Data($0.value)) }
    }
}

/// The sub-discussions that accounts of this instance began, for all of its accounts: a guest's guide comes from here.
///
/// Confined to the realtime loop, which all accounts of an instance share.
// Unchecked: only code on the loop touches it.
final class SubDiscussions: @unchecked Sendable {
    private var open: [ChannelKey: SubDiscussion] = [:]

    subscript(_ key: ChannelKey) -> SubDiscussion? { open[key] }
    var isEmpty: Bool { open.isEmpty }
    func put(_ discussion: SubDiscussion) { open[discussion.key] = discussion }
    func remove(_ key: ChannelKey) { open[key] = nil }
}

/// Sees to it that a discussion goes on when somebody whose turn it is says nothing: nobody may be there.
///
/// A plain value: what is heard goes in, when to move the rotation on comes out.
struct GuestWatch: Sendable {
    private struct Watched {
        var guests: Int
        var heard: ContinuousClock.Instant
        /// How often it was moved on since somebody said something.
        var forced = 0
    }

    private var watched: [ChannelKey: Watched] = [:]

    var isEmpty: Bool { watched.isEmpty }

    mutating func begin(_ key: ChannelKey, guests: Int, now: ContinuousClock.Instant) {
        watched[key] = Watched(guests: guests, heard: now)
    }

    mutating func end(_ key: ChannelKey) { watched[key] = nil }

    /// Somebody said something there.
    mutating func heard(_ key: ChannelKey, now: ContinuousClock.Instant) {
        guard watched[key] != nil else { return }
        watched[key]?.heard = now
        watched[key]?.forced = 0
    }

    /// Those to be moved on now. Each at most once for every one who takes part: then there is nobody.
    mutating func due(now: ContinuousClock.Instant, patience: Duration) -> [ChannelKey] {
        let late = watched.filter { $0.value.forced <= $0.value.guests && $0.value.heard.advanced(by: patience) <= now }
        for key in late.keys {
            watched[key]?.heard = now
            watched[key]?.forced += 1
        }
        return late.keys.sorted { ($0.guild, $0.channel) < ($1.guild, $1.channel) }
    }

    func next(patience: Duration) -> ContinuousClock.Instant? {
        watched.values.filter { $0.forced <= $0.guests }.map { $0.heard.advanced(by: patience) }.min()
    }
}
