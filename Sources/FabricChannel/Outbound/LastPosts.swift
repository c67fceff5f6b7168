import ChannelStore

/// Where the account's last post lies in each channel: whatever is sent after it lies behind it.
///
/// A post whose answer got lost is looked for in history by its text, and agents say the same twice. What the inbox knows of
/// a channel is not enough to tell the two apart: our own post may lie above a gap that is not read yet, and a run that
/// begins then knows neither. So it is kept, as a note, in the commit that takes the message out of the outbox.
struct LastPosts: Sendable, Equatable {
    private static let notePrefix = "posted/"
    private var positions: [ChannelKey: Int64] = [:]

    init() {}

    /// - Parameter notes: those that are kept of the account. What cannot be read is left where it is.
    init(notes: [String: [UInt8]]) {
        for (name, value) in notes where name.hasPrefix(Self.notePrefix) {
            let place = name.dropFirst(Self.notePrefix.count).split(
                separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            guard place.count == 2, let sequence = Int64(String(decoding: value, as: UTF8.self)),
                ChannelPosition.valid.contains(sequence)
            else { continue }
            positions[ChannelKey(guild: String(place[0]), channel: String(place[1]))] = sequence
        }
    }

    /// What is kept of it, by name.
    var notes: [String: [UInt8]] {
        Dictionary(positions.map { (Self.name($0), Self.value($1)) }) { first, _ in first }
    }

    /// A message of ours is in the log: the change that keeps it; nil where no log can have that position. The last one
    /// counts and not the highest: a log may go back.
    mutating func posted(_ sequence: Int64, in key: ChannelKey) -> StoreChange? {
        guard ChannelPosition.valid.contains(sequence) else { return nil }
        positions[key] = sequence
        return .note(Self.name(key), Self.value(sequence))
    }

    /// The position behind which a message lies, when it lies behind `floor` and what was posted before.
    func floor(_ floor: Int64?, in key: ChannelKey) -> Int64? {
        guard let last = positions[key] else { return floor }
        return floor.map { max($0, last) } ?? last
    }

    private static func name(_ key: ChannelKey) -> String { notePrefix + key.guild + "/" + key.channel }
    private static func value(_ sequence: Int64) -> [UInt8] { Array(String(sequence).utf8) }
}
