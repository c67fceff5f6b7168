/// What a batch leaves behind, as statements over many rows each.
struct BatchStatements {
    private(set) var queries: [PostgreSQLQuery] = []

    private var removed: [Int64] = []
    private var used: [Int64] = []
    private var running = Table(
        "UPDATE account SET running = x.a FROM unnest($1::bigint[], $2::boolean[]) AS x(account, a) WHERE row = x.account",
        .int8, .bool)
    private var listed = Table(
        """
        INSERT INTO guild (account, name, listed) SELECT * FROM unnest($1::bigint[], $2::text[], $3::float8[])
        ON CONFLICT (account, name) DO UPDATE SET listed = excluded.listed
        """, .int8, .text, .float8)
    private var notes = Table(
        """
        INSERT INTO note (account, name, value) SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[])
        ON CONFLICT (account, name) DO UPDATE SET value = excluded.value
        """, .int8, .text, .bytea)
    private var droppedNotes = Table(
        """
        DELETE FROM note USING unnest($1::bigint[], $2::text[]) AS x(a, b) WHERE account = a AND name = b
        """, .int8, .text)
    private var forgotten = Table(
        """
        UPDATE channel SET cursor = NULL, newest = NULL, not_before = NULL
        FROM unnest($1::bigint[], $2::text[], $3::text[]) AS x(a, b, c) WHERE account = a AND guild = b AND name = c
        """, .int8, .text, .text)
    private var logs = Table(
        """
        INSERT INTO channel (account, guild, name, era, not_before)
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::float8[])
        ON CONFLICT (account, guild, name) DO UPDATE SET era = excluded.era, not_before = excluded.not_before
        """, .int8, .text, .text, .int8, .float8)
    private var cursors = Table(
        """
        INSERT INTO channel (account, guild, name, cursor, newest)
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::float8[])
        ON CONFLICT (account, guild, name) DO UPDATE SET cursor = excluded.cursor, newest = excluded.newest
        """, .int8, .text, .text, .int8, .float8)
    private var trimmed = Table(
        """
        DELETE FROM mark USING unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS x(a, b, c, d)
        WHERE account = a AND guild = b AND channel = c AND sequence <= d
        """, .int8, .text, .text, .int8)
    private var marks = Table(
        """
        INSERT INTO mark (account, guild, channel, sequence, kind)
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[]) ON CONFLICT DO NOTHING
        """, .int8, .text, .text, .int8, .int8)
    private var swept = Table(
        """
        DELETE FROM channel USING unnest($1::bigint[], $2::text[], $3::text[]) AS x(a, b, c)
        WHERE account = a AND guild = b AND name = c AND cursor IS NULL AND era = 0 AND not_before IS NULL
        """, .int8, .text, .text)
    private var settled = Table(
        "DELETE FROM delivery USING unnest($1::bigint[], $2::text[]) AS x(a, b) WHERE account = a AND id = b", .int8,
        .text)
    private var deliveries = Table(
        """
        INSERT INTO delivery
        (account, id, guild, channel, sequence, flags, attempts, media_directory, dead_reason, message)
        SELECT * FROM unnest(
        $1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[],
        $9::text[], $10::bytea[])
        ON CONFLICT (account, id) DO UPDATE SET guild = excluded.guild, channel = excluded.channel,
        sequence = excluded.sequence, flags = excluded.flags, attempts = excluded.attempts,
        media_directory = excluded.media_directory, dead_reason = excluded.dead_reason, message = excluded.message
        """, .int8, .text, .text, .text, .int8, .int8, .int8, .text, .text, .bytea)
    private var droppedOutbox = Table(
        "DELETE FROM outbox USING unnest($1::bigint[], $2::text[]) AS x(a, b) WHERE account = a AND id = b", .int8,
        .text)
    private var droppedFiles = Table(
        "DELETE FROM file USING unnest($1::bigint[], $2::text[]) AS x(a, b) WHERE account = a AND outbox = b", .int8,
        .text)
    private var outbox = Table(
        """
        INSERT INTO outbox (account, id, guild, channel, reply_to, floor, position, dead_reason, text)
        SELECT * FROM unnest(
        $1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], $9::text[])
        ON CONFLICT (account, id) DO UPDATE SET guild = excluded.guild, channel = excluded.channel,
        reply_to = excluded.reply_to, floor = excluded.floor, position = excluded.position,
        dead_reason = excluded.dead_reason, text = excluded.text
        """, .int8, .text, .text, .text, .text, .int8, .int8, .text, .text)
    private var droppedMedia = Table(
        "DELETE FROM media USING unnest($1::bigint[], $2::text[]) AS x(a, b) WHERE account = a AND outbox = b", .int8,
        .text)
    private var media = Table(
        """
        INSERT INTO media (account, outbox, number, path, name, media_type, uploaded)
        SELECT * FROM unnest(
        $1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bytea[])
        """, .int8, .text, .int8, .text, .text, .text, .bytea)

    /// - Parameter isUsed: Whether an account is known to have been committed for before.
    init(_ accounts: [(row: Int64, changes: AccountChanges)], isUsed: (Int64) -> Bool) {
        for (row, changes) in accounts {
            if changes.forgetsAll { removed.append(row) }
            if !changes.isEmpty, changes.forgetsAll || !isUsed(row) { used.append(row) }
            add(changes, row)
        }
        if !removed.isEmpty {
            for table in PostgreSQLSchema.tablesOfAccounts {
                queries.append(
                    PostgreSQLQuery("DELETE FROM \(table) WHERE account = ANY($1::bigint[])", .array(.init(removed))))
            }
            queries.append(
                PostgreSQLQuery(
                    "UPDATE account SET used = false, running = false WHERE row = ANY($1::bigint[])",
                    .array(.init(removed))))
        }
        if !used.isEmpty {
            queries.append(
                PostgreSQLQuery(
                    "UPDATE account SET used = true WHERE row = ANY($1::bigint[]) AND NOT used", .array(.init(used))))
        }
        for table in [
            running, listed, droppedNotes, notes, forgotten, logs, cursors, trimmed, marks, swept, settled, deliveries,
            droppedOutbox, droppedFiles, droppedMedia, outbox, media,
        ] { table.append(to: &queries) }
    }

    private mutating func add(_ changes: AccountChanges, _ row: Int64) {
        if let value = changes.running {
            running.columns[0].append(row)
            running.columns[1].append(value)
        }
        for (guild, at) in changes.listed {
            listed.begin(row, guild)
            listed.columns[2].append(at)
        }
        for (name, value) in changes.notes {
            guard let value else {
                droppedNotes.begin(row, name)
                continue
            }
            notes.begin(row, name)
            notes.columns[2].append(value)
        }
        for (key, channel) in changes.channels { add(channel, key, row) }
        for entry in changes.deliveries.entries {
            if entry.dropsKept { settled.begin(row, entry.id) }
            if let delivery = entry.element { add(delivery, row) }
        }
        for entry in changes.outbox.entries {
            if entry.dropsKept {
                droppedOutbox.begin(row, entry.id)
                droppedFiles.begin(row, entry.id)
                droppedMedia.begin(row, entry.id)
            }
            if let message = entry.element { add(message, row, isNew: entry.dropsKept) }
        }
    }

    private mutating func add(_ channel: ChannelChanges, _ key: ChannelKey, _ row: Int64) {
        if channel.forgets {
            forgotten.begin(row, key)
            trimmed.begin(row, key)
            trimmed.columns[3].append(Int64.max)
        } else if let farthest = channel.farthest {
            trimmed.begin(row, key)
            trimmed.columns[3].append(farthest)
        }
        if let log = channel.log {
            logs.begin(row, key)
            logs.columns[3].append(Int64(log.era))
            logs.columns[4].append(log.notBefore)
        }
        if let cursor = channel.cursor {
            cursors.begin(row, key)
            cursors.columns[3].append(cursor)
            cursors.columns[4].append(channel.newest)
        } else if channel.forgets || channel.log == StoredLog() {
            swept.begin(row, key)
        }
        for (kind, sequences) in [(PositionMark.wakeup, channel.wakeups), (.taken, channel.taken)] {
            for sequence in sequences {
                marks.begin(row, key)
                marks.columns[3].append(sequence)
                marks.columns[4].append(kind.rawValue)
            }
        }
    }

    private mutating func add(_ delivery: StoredDelivery, _ row: Int64) {
        deliveries.begin(row, delivery.id)
        deliveries.columns[2].append(delivery.key.guild)
        deliveries.columns[3].append(delivery.key.channel)
        deliveries.columns[4].append(delivery.sequence)
        deliveries.columns[5].append(DeliveryFlags(delivery).rawValue)
        deliveries.columns[6].append(Int64(delivery.attempts))
        deliveries.columns[7].append(delivery.mediaDirectory)
        deliveries.columns[8].append(delivery.deadReason)
        deliveries.columns[9].append(delivery.message)
    }

    private mutating func add(_ entry: OutboxEntry, _ row: Int64, isNew: Bool) {
        if !isNew { droppedMedia.begin(row, entry.id) }
        outbox.begin(row, entry.id)
        outbox.columns[2].append(entry.key.guild)
        outbox.columns[3].append(entry.key.channel)
        outbox.columns[4].append(entry.replyTo)
        outbox.columns[5].append(entry.floor)
        outbox.columns[6].append(Int64(bitPattern: entry.order))
        outbox.columns[7].append(entry.deadReason)
        outbox.columns[8].append(entry.text)
        for (number, file) in entry.media.enumerated() {
            media.begin(row, entry.id)
            media.columns[2].append(Int64(number))
            media.columns[3].append(file.path)
            media.columns[4].append(file.name)
            media.columns[5].append(file.mediaType)
            media.columns[6].append(file.uploaded)
        }
    }
}

/// The rows of one statement. A batch may be what an hour without the database left: then they are sent in pieces.
private struct Table {
    let sql: String
    var columns: [PostgreSQLArray]
    private let empty: [PostgreSQLArray]
    private var pieces: [[PostgreSQLArray]] = []

    private static let mostBytes = 4 << 20

    init(_ sql: String, _ columns: PostgreSQLArray.Element...) {
        self.sql = sql
        empty = columns.map { PostgreSQLArray($0) }
        self.columns = empty
    }

    private mutating func begin() {
        guard columns.reduce(0, { $0 + $1.size }) > Self.mostBytes else { return }
        pieces.append(columns)
        columns = empty
    }

    mutating func begin(_ account: Int64, _ name: String) {
        begin()
        columns[0].append(account)
        columns[1].append(name)
    }

    mutating func begin(_ account: Int64, _ key: ChannelKey) {
        begin()
        columns[0].append(account)
        columns[1].append(key.guild)
        columns[2].append(key.channel)
    }

    func append(to queries: inout [PostgreSQLQuery]) {
        for piece in pieces + [columns] where (piece.first?.count ?? 0) > 0 {
            queries.append(PostgreSQLQuery(sql, parameters: piece.map { .array($0) }))
        }
    }
}
