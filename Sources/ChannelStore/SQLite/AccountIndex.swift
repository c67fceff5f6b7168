/// The row numbers of an account that writing needs, remembered by the one store object that writes to it.
final class AccountIndex {
    let row: Int64
    /// The state of the file at which the account was seen to be still this object's.
    var checkedVersion: Int64
    var guilds: [String: Int64] = [:]
    /// Those met so far.
    var channels: [ChannelKey: Int64] = [:]
    /// All channels that have wake-ups.
    var channelsWithMarks: Set<Int64> = []
    /// All deliveries and outgoing messages kept, by their ids.
    var deliveries: [String: Int64] = [:]
    var outbox: [String: Int64] = [:]

    init(row: Int64, checkedVersion: Int64) {
        self.row = row
        self.checkedVersion = checkedVersion
    }
}
