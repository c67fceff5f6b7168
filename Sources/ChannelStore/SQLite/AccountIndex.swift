/// The row numbers of an account that writing needs, remembered by the one store object that writes to it.
final class AccountIndex {
    let row: Int64
    /// The state of the file at which the account was seen to be still this object's.
    var checkedVersion: Int64
    var guilds: [String: Int64] = [:]
    /// Those met so far.
    var channels: [ChannelKey: ChannelIndex] = [:]
    /// The one met last: most changes of a message are about one channel.
    var latest: (key: ChannelKey, channel: ChannelIndex)?
    /// The rows of all channels that may have marks.
    var channelsWithMarks: Set<Int64> = []
    /// All deliveries and outgoing messages kept, by their ids.
    var deliveries: [String: Int64] = [:]
    var outbox: [String: Int64] = [:]
    /// A channel was forgotten in this batch.
    var needsSweep = false

    init(row: Int64, checkedVersion: Int64) {
        self.row = row
        self.checkedVersion = checkedVersion
    }
}

/// A channel's row, and where its cursor stands at the end of the batch.
final class ChannelIndex {
    enum Cursor {
        case unchanged
        case set(Int64, newest: Double?)
        case gone
    }

    let row: Int64
    var mayHaveMarks: Bool
    var cursor = Cursor.unchanged

    init(row: Int64, mayHaveMarks: Bool) {
        self.row = row
        self.mayHaveMarks = mayHaveMarks
    }
}
