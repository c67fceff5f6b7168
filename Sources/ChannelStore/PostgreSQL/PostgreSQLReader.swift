/// Reads what is kept of accounts, many at once.
enum PostgreSQLReader {
    /// What the database holds of accounts, as it was at one time. Those never seen are absent.
    static func load(
        _ names: [String], _ connection: PostgreSQLConnection
    ) throws(PostgreSQLFailure) -> [String: StoredAccount] {
        let wanted = PostgreSQLParameter.array(.init(names))
        let mine = "account = ANY(ARRAY(SELECT row FROM account AS a WHERE a.name = ANY($1::text[])))"
        let answers = try connection.run(
            [
                PostgreSQLQuery("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
                PostgreSQLQuery("SELECT row, name, running FROM account WHERE name = ANY($1::text[])", wanted),
                PostgreSQLQuery("SELECT account, name, listed FROM guild WHERE \(mine)", wanted),
                PostgreSQLQuery(
                    "SELECT account, guild, name, cursor, newest, era, not_before FROM channel WHERE \(mine)", wanted),
                PostgreSQLQuery("SELECT account, guild, channel, sequence, kind FROM mark WHERE \(mine)", wanted),
                PostgreSQLQuery(
                    """
                    SELECT account, id, guild, channel, sequence, flags, attempts, media_directory, dead_reason, message
                    FROM delivery WHERE \(mine) ORDER BY place
                    """, wanted),
                PostgreSQLQuery(
                    """
                    SELECT account, outbox, path, name, media_type, uploaded FROM media WHERE \(mine)
                    ORDER BY account, outbox, number
                    """, wanted),
                PostgreSQLQuery(
                    """
                    SELECT account, id, guild, channel, reply_to, floor, position, dead_reason, text
                    FROM outbox WHERE \(mine) ORDER BY place
                    """, wanted),
                PostgreSQLQuery("SELECT account, name, value FROM note WHERE \(mine)", wanted),
                PostgreSQLQuery("COMMIT"),
            ], within: 40)
        guard answers.count == 10 else { throw PostgreSQLFailure(.connection, problem: "answers are missing") }
        var stored: [Int64: StoredAccount] = [:]
        var rows: [Int64: String] = [:]
        let accounts = answers[1]
        for row in accounts.rows {
            let number = try accounts.int(row, 0)
            rows[number] = try accounts.text(row, 1)
            stored[number] = StoredAccount(isRunning: try accounts.bool(row, 2))
        }
        let guilds = answers[2]
        for row in guilds.rows {
            stored[try guilds.int(row, 0)]?.listedAt[try guilds.text(row, 1)] = try guilds.double(row, 2)
        }
        try readChannels(answers[3], answers[4], into: &stored)
        try readDeliveries(answers[5], into: &stored)
        try readOutbox(answers[7], media: answers[6], into: &stored)
        let notes = answers[8]
        for row in notes.rows {
            stored[try notes.int(row, 0)]?.notes[try notes.text(row, 1)] = try notes.data(row, 2)
        }
        var result: [String: StoredAccount] = [:]
        for (number, name) in rows { result[name] = stored[number] }
        return result
    }

    private static func readChannels(
        _ channels: PostgreSQLResult, _ marks: PostgreSQLResult, into stored: inout [Int64: StoredAccount]
    ) throws(PostgreSQLFailure) {
        for row in channels.rows {
            let account = try channels.int(row, 0)
            let key = ChannelKey(guild: try channels.text(row, 1), channel: try channels.text(row, 2))
            if let cursor = try channels.optionalInt(row, 3) { stored[account]?.cursors[key] = cursor }
            if let newest = try channels.optionalDouble(row, 4) { stored[account]?.newest[key] = newest }
            let log = StoredLog(
                era: Int(clamping: try channels.int(row, 5)), notBefore: try channels.optionalDouble(row, 6))
            if log != StoredLog() { stored[account]?.logs[key] = log }
        }
        for row in marks.rows {
            let account = try marks.int(row, 0)
            let key = ChannelKey(guild: try marks.text(row, 1), channel: try marks.text(row, 2))
            let sequence = try marks.int(row, 3)
            if try marks.int(row, 4) == PositionMark.taken.rawValue {
                stored[account]?.taken[key, default: []].insert(sequence)
            } else {
                stored[account]?.wakeups[key, default: []].insert(sequence)
            }
        }
    }

    private static func readDeliveries(
        _ found: PostgreSQLResult, into stored: inout [Int64: StoredAccount]
    ) throws(PostgreSQLFailure) {
        for row in found.rows {
            let flags = DeliveryFlags(rawValue: try found.int(row, 5))
            stored[try found.int(row, 0)]?.deliveries.append(
                StoredDelivery(
                    id: try found.text(row, 1),
                    key: ChannelKey(guild: try found.text(row, 2), channel: try found.text(row, 3)),
                    sequence: try found.optionalInt(row, 4), wake: flags.contains(.wake),
                    caughtUp: flags.contains(.caughtUp), redelivered: flags.contains(.redelivered),
                    message: try found.data(row, 9), handedOver: flags.contains(.handedOver),
                    attempts: Int(clamping: try found.int(row, 6)), mediaDirectory: try found.optionalText(row, 7),
                    deadReason: try found.optionalText(row, 8)))
        }
    }

    private static func readOutbox(
        _ found: PostgreSQLResult, media: PostgreSQLResult, into stored: inout [Int64: StoredAccount]
    ) throws(PostgreSQLFailure) {
        struct Entry: Hashable {
            var account: Int64
            var id: String
        }
        var files: [Entry: [StoredMedia]] = [:]
        for row in media.rows {
            let entry = Entry(account: try media.int(row, 0), id: try media.text(row, 1))
            files[entry, default: []].append(
                StoredMedia(
                    path: try media.text(row, 2), name: try media.text(row, 3), mediaType: try media.text(row, 4),
                    uploaded: try media.optionalData(row, 5)))
        }
        for row in found.rows {
            let account = try found.int(row, 0)
            let id = try found.text(row, 1)
            stored[account]?.outbox.append(
                OutboxEntry(
                    id: id, key: ChannelKey(guild: try found.text(row, 2), channel: try found.text(row, 3)),
                    text: try found.text(row, 8), media: files[Entry(account: account, id: id)] ?? [],
                    replyTo: try found.optionalText(row, 4), floor: try found.optionalInt(row, 5),
                    order: UInt64(bitPattern: try found.int(row, 6)), deadReason: try found.optionalText(row, 7)))
        }
    }
}
