/// The statements that writing takes, prepared once.
struct WriteStatements {
    let begin, commit, dataVersion: SQLiteStatement
    let findAccount, addAccount, claim, isOurs, setRunning: SQLiteStatement
    let findGuild, addGuild, setListed, findChannel, addChannel, sweepChannels: SQLiteStatement
    let setCursor, dropCursor, setLog, endSearch: SQLiteStatement
    let addMark, hasMarks, dropMarks, channelsWithMarks: SQLiteStatement
    let deliveries, addDelivery, changeDelivery, dropDelivery: SQLiteStatement
    let outbox, addOutbox, changeOutbox, dropOutbox, addMedia, dropMedia: SQLiteStatement
    let setNote, dropNote: SQLiteStatement
    let removals: [SQLiteStatement]

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        begin = try connection.prepare("BEGIN IMMEDIATE")
        commit = try connection.prepare("COMMIT")
        dataVersion = try connection.prepare("PRAGMA data_version")

        findAccount = try connection.prepare("SELECT row FROM account WHERE name = ?1")
        addAccount = try connection.prepare("INSERT INTO account (name, writer) VALUES (?1, ?2)")
        claim = try connection.prepare("UPDATE account SET writer = ?2 WHERE row = ?1")
        isOurs = try connection.prepare("SELECT 1 FROM account WHERE row = ?1 AND name = ?2 AND writer = ?3")
        setRunning = try connection.prepare("UPDATE account SET running = ?2 WHERE row = ?1")

        findGuild = try connection.prepare("SELECT row FROM guild WHERE account = ?1 AND name = ?2")
        addGuild = try connection.prepare("INSERT INTO guild (account, name) VALUES (?1, ?2)")
        setListed = try connection.prepare("UPDATE guild SET listed = ?2 WHERE row = ?1")
        findChannel = try connection.prepare("SELECT row FROM channel WHERE guild = ?1 AND name = ?2")
        addChannel = try connection.prepare("INSERT INTO channel (guild, name) VALUES (?1, ?2)")
        sweepChannels = try connection.prepare(
            """
            DELETE FROM channel WHERE guild IN (SELECT row FROM guild WHERE account = ?1)
            AND era = 0 AND not_before IS NULL
            AND NOT EXISTS (SELECT 1 FROM cursor WHERE cursor.channel = channel.row)
            AND row NOT IN (SELECT channel FROM mark WHERE account = ?1)
            AND row NOT IN (SELECT channel FROM delivery WHERE account = ?1)
            AND row NOT IN (SELECT channel FROM outbox WHERE account = ?1)
            """)

        setCursor = try connection.prepare("REPLACE INTO cursor (channel, sequence, newest) VALUES (?1, ?2, ?3)")
        dropCursor = try connection.prepare("DELETE FROM cursor WHERE channel = ?1")
        setLog = try connection.prepare("UPDATE channel SET era = ?2, not_before = ?3 WHERE row = ?1")
        endSearch = try connection.prepare(
            "UPDATE channel SET not_before = NULL WHERE row = ?1 AND not_before IS NOT NULL")
        addMark = try connection.prepare(
            "INSERT OR IGNORE INTO mark (account, channel, sequence, kind) VALUES (?1, ?2, ?3, ?4)")
        hasMarks = try connection.prepare("SELECT 1 FROM mark WHERE account = ?1 AND channel = ?2 LIMIT 1")
        dropMarks = try connection.prepare(
            "DELETE FROM mark WHERE account = ?1 AND channel = ?2 AND sequence <= ?3")
        channelsWithMarks = try connection.prepare("SELECT DISTINCT channel FROM mark WHERE account = ?1")

        deliveries = try connection.prepare("SELECT row, id FROM delivery WHERE account = ?1")
        addDelivery = try connection.prepare(
            """
            INSERT INTO delivery (account, id, channel, sequence, flags, attempts, media_directory, dead_reason, message)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
            """)
        changeDelivery = try connection.prepare(
            """
            UPDATE delivery SET channel = ?3, sequence = ?4, flags = ?5, attempts = ?6, media_directory = ?7,
            dead_reason = ?8, message = ?9 WHERE row = ?1 AND id = ?2
            """)
        dropDelivery = try connection.prepare("DELETE FROM delivery WHERE row = ?1")

        outbox = try connection.prepare("SELECT row, id FROM outbox WHERE account = ?1")
        addOutbox = try connection.prepare(
            """
            INSERT INTO outbox (account, id, channel, reply_to, floor, place, dead_reason, text)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
            """)
        changeOutbox = try connection.prepare(
            """
            UPDATE outbox SET channel = ?3, reply_to = ?4, floor = ?5, place = ?6, dead_reason = ?7, text = ?8
            WHERE row = ?1 AND id = ?2
            """)
        dropOutbox = try connection.prepare("DELETE FROM outbox WHERE row = ?1")
        addMedia = try connection.prepare(
            "INSERT INTO media (outbox, number, path, name, media_type, uploaded) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        dropMedia = try connection.prepare("DELETE FROM media WHERE outbox = ?1")

        setNote = try connection.prepare("REPLACE INTO note (account, name, value) VALUES (?1, ?2, ?3)")
        dropNote = try connection.prepare("DELETE FROM note WHERE account = ?1 AND name = ?2")

        var removals: [SQLiteStatement] = []
        for sql in [
            "DELETE FROM note WHERE account = ?1",
            "DELETE FROM media WHERE outbox IN (SELECT row FROM outbox WHERE account = ?1)",
            "DELETE FROM outbox WHERE account = ?1",
            "DELETE FROM delivery WHERE account = ?1",
            "DELETE FROM mark WHERE account = ?1",
            """
            DELETE FROM cursor WHERE channel IN (
                SELECT channel.row FROM guild CROSS JOIN channel ON channel.guild = guild.row WHERE guild.account = ?1)
            """,
            "DELETE FROM channel WHERE guild IN (SELECT row FROM guild WHERE account = ?1)",
            "DELETE FROM guild WHERE account = ?1",
            "DELETE FROM account WHERE row = ?1",
        ] { removals.append(try connection.prepare(sql)) }
        self.removals = removals
    }
}
