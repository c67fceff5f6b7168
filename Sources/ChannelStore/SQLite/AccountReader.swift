/// Reads what is kept of accounts, over a connection of its caller's.
final class AccountReader {
    private let connection: SQLiteConnection
    private let notes: SQLiteStatement
    private let account, guilds, channels, marks, deliveries, outbox, media, names: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.connection = connection
        account = try connection.prepare("SELECT row, running FROM account WHERE name = ?1")
        guilds = try connection.prepare("SELECT row, name, listed FROM guild WHERE account = ?1")
        channels = try connection.prepare(
            """
            SELECT channel.row, channel.name, cursor.sequence, cursor.newest, channel.era, channel.not_before FROM channel
            LEFT JOIN cursor ON cursor.channel = channel.row WHERE channel.guild = ?1
            """)
        marks = try connection.prepare("SELECT channel, sequence, kind FROM mark WHERE account = ?1")
        deliveries = try connection.prepare(
            """
            SELECT id, channel, sequence, flags, attempts, media_directory, dead_reason, message
            FROM delivery WHERE account = ?1 ORDER BY row
            """)
        outbox = try connection.prepare(
            """
            SELECT row, id, channel, reply_to, floor, place, dead_reason, text
            FROM outbox WHERE account = ?1 ORDER BY row
            """)
        media = try connection.prepare(
            "SELECT path, name, media_type, uploaded FROM media WHERE outbox = ?1 ORDER BY number")
        notes = try connection.prepare("SELECT name, value FROM note WHERE account = ?1")
        names = try connection.prepare("SELECT name FROM account ORDER BY name")
    }

    /// What the file holds of an account, as it was at one time.
    func load(_ name: String) throws(SQLiteFailure) -> StoredAccount {
        try connection.reading { () throws(SQLiteFailure) in try read(name) }
    }

    /// The accounts in the file.
    func accounts() throws(SQLiteFailure) -> [String] {
        var found: [String] = []
        while try names.step() { found.append(names.string(0)) }
        return found
    }

    private func read(_ name: String) throws(SQLiteFailure) -> StoredAccount {
        var stored = StoredAccount()
        try account.bind(1, name)
        guard try account.step() else { return stored }
        let row = account.int64(0)
        stored.isRunning = account.int64(1) != 0
        while try account.step() {}

        var keys: [Int64: ChannelKey] = [:]
        try guilds.bind(1, row)
        while try guilds.step() {
            let guild = guilds.string(1)
            if !guilds.isNull(2) { stored.listedAt[guild] = guilds.double(2) }
            try channels.bind(1, guilds.int64(0))
            while try channels.step() {
                let key = ChannelKey(guild: guild, channel: channels.string(1))
                keys[channels.int64(0)] = key
                if let sequence = channels.optionalInt64(2) { stored.cursors[key] = sequence }
                if !channels.isNull(3) { stored.newest[key] = channels.double(3) }
                let log = StoredLog(
                    era: Int(clamping: channels.int64(4)), notBefore: channels.isNull(5) ? nil : channels.double(5))
                if log != StoredLog() { stored.logs[key] = log }
            }
        }
        try marks.bind(1, row)
        while try marks.step() {
            let key = try key(marks.int64(0), among: keys)
            if marks.int64(2) == PositionMark.taken.rawValue {
                stored.taken[key, default: []].insert(marks.int64(1))
            } else {
                stored.wakeups[key, default: []].insert(marks.int64(1))
            }
        }
        try readDeliveries(of: row, keys: keys, into: &stored)
        try readOutbox(of: row, keys: keys, into: &stored)
        try notes.bind(1, row)
        while try notes.step() { stored.notes[notes.string(0)] = notes.bytes(1) }
        return stored
    }

    private func readDeliveries(
        of row: Int64, keys: [Int64: ChannelKey], into stored: inout StoredAccount
    ) throws(SQLiteFailure) {
        try deliveries.bind(1, row)
        while try deliveries.step() {
            let flags = DeliveryFlags(rawValue: deliveries.int64(3))
            stored.deliveries.append(
                StoredDelivery(
                    id: deliveries.string(0), key: try key(deliveries.int64(1), among: keys),
                    sequence: deliveries.optionalInt64(2), wake: flags.contains(.wake),
                    caughtUp: flags.contains(.caughtUp), redelivered: flags.contains(.redelivered),
                    message: deliveries.bytes(7), handedOver: flags.contains(.handedOver),
                    attempts: Int(clamping: deliveries.int64(4)), mediaDirectory: deliveries.optionalString(5),
                    deadReason: deliveries.optionalString(6)))
        }
    }

    private func readOutbox(
        of row: Int64, keys: [Int64: ChannelKey], into stored: inout StoredAccount
    ) throws(SQLiteFailure) {
        try outbox.bind(1, row)
        while try outbox.step() {
            var files: [StoredMedia] = []
            try media.bind(1, outbox.int64(0))
            while try media.step() {
                files.append(
                    StoredMedia(
                        path: media.string(0), name: media.string(1), mediaType: media.string(2),
                        uploaded: media.optionalBytes(3)))
            }
            stored.outbox.append(
                OutboxEntry(
                    id: outbox.string(1), key: try key(outbox.int64(2), among: keys), text: outbox.string(7),
                    media: files, replyTo: outbox.optionalString(3), floor: outbox.optionalInt64(4),
                    order: UInt64(bitPattern: outbox.int64(5)), deadReason: outbox.optionalString(6)))
        }
    }

    /// A row that names a channel the account does not have was not written by this store.
    private func key(_ channel: Int64, among keys: [Int64: ChannelKey]) throws(SQLiteFailure) -> ChannelKey {
        guard let key = keys[channel] else {
            throw SQLiteFailure(.corrupt, problem: "a row refers to channel \(channel), which is not there")
        }
        return key
    }
}
