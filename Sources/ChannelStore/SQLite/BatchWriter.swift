/// Writes batches, one transaction each, on the store's own thread.
final class BatchWriter {
    let connection: SQLiteConnection
    let statements: WriteStatements
    /// Names this object as the writer of an account.
    private let token: Int64
    private var indexes: [String: AccountIndex] = [:]
    private var channelsRemembered = 0
    private var version: Int64 = 0
    private var outlivesPower = false

    /// More are looked up again.
    private static let mostChannelsRemembered = 16_384

    init(_ connection: SQLiteConnection, token: Int64) throws(SQLiteFailure) {
        self.connection = connection
        self.token = token
        statements = try WriteStatements(connection)
    }

    /// Writes all of it or nothing.
    func write(_ batch: StoreBatch) throws(SQLiteFailure) {
        guard !batch.accounts.isEmpty else { return }
        if batch.mustOutlivePower != outlivesPower {
            // A synced commit covers the commits before it that were not.
            try connection.run(batch.mustOutlivePower ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL")
            outlivesPower = batch.mustOutlivePower
        }
        do {
            try statements.begin.run()
            // Changes when another connection has written.
            version = try statements.dataVersion.firstInt64() ?? 0
            for (name, changes) in batch.accounts { try write(changes, of: name) }
            try statements.commit.run()
        } catch {
            connection.rollBack()
            // They speak of rows that were taken back.
            indexes = [:]
            channelsRemembered = 0
            throw error
        }
    }

    private func write(_ changes: AccountChanges, of name: String) throws(SQLiteFailure) {
        if changes.forgetsAll { try remove(name) }
        guard changes.keepsAnything else { return }
        let index = try self.index(of: name)
        if let running = changes.running {
            try statements.setRunning.bind(1, index.row)
            try statements.setRunning.bind(2, Int64(running ? 1 : 0))
            try statements.setRunning.run()
        }
        for (guild, at) in changes.listed {
            try statements.setListed.bind(1, try row(ofGuild: guild, in: index))
            try statements.setListed.bind(2, at)
            try statements.setListed.run()
        }
        for (key, channel) in changes.channels { try write(channel, of: key, in: index) }
        for entry in changes.deliveries.entries { try write(entry, in: index) }
        for entry in changes.outbox.entries { try write(entry, in: index) }
        if changes.forgetsChannels { try sweepChannels(of: index) }
    }

    private func write(_ changes: ChannelChanges, of key: ChannelKey, in index: AccountIndex) throws(SQLiteFailure) {
        let channel = try row(of: key, in: index)
        switch changes.cursor {
        case .unchanged: break
        case .set(let sequence):
            try statements.setCursor.bind(1, channel)
            try statements.setCursor.bind(2, sequence)
            try statements.setCursor.run()
        case .gone:
            try statements.dropCursor.bind(1, channel)
            try statements.dropCursor.run()
        }
        if index.channelsWithMarks.contains(channel) {
            if changes.dropsAllMarks {
                try statements.dropMarks.bind(1, index.row)
                try statements.dropMarks.bind(2, channel)
                try statements.dropMarks.run()
                index.channelsWithMarks.remove(channel)
            } else if let end = changes.dropsMarksUpTo {
                try statements.dropMarksUpTo.bind(1, index.row)
                try statements.dropMarksUpTo.bind(2, channel)
                try statements.dropMarksUpTo.bind(3, end)
                try statements.dropMarksUpTo.run()
            }
        }
        try mark(changes.wakeups, .wakeup, channel, in: index)
        try mark(changes.taken, .taken, channel, in: index)
    }

    private func mark(
        _ sequences: Set<Int64>, _ kind: PositionMark, _ channel: Int64, in index: AccountIndex
    ) throws(SQLiteFailure) {
        for sequence in sequences {
            try statements.addMark.bind(1, index.row)
            try statements.addMark.bind(2, channel)
            try statements.addMark.bind(3, sequence)
            try statements.addMark.bind(4, kind.rawValue)
            try statements.addMark.run()
            index.channelsWithMarks.insert(channel)
        }
    }

    // MARK: Rows

    private func index(of name: String) throws(SQLiteFailure) -> AccountIndex {
        if let index = indexes[name] {
            if index.checkedVersion == version { return index }
            // Another store object may have taken the account over since.
            try statements.isOurs.bind(1, index.row)
            try statements.isOurs.bind(2, name)
            try statements.isOurs.bind(3, token)
            if try statements.isOurs.firstInt64() != nil {
                index.checkedVersion = version
                return index
            }
            forget(name)
        }
        let index = try claim(name)
        indexes[name] = index
        return index
    }

    private func claim(_ name: String) throws(SQLiteFailure) -> AccountIndex {
        try statements.findAccount.bind(1, name)
        guard let row = try statements.findAccount.firstInt64() else {
            try statements.addAccount.bind(1, name)
            try statements.addAccount.bind(2, token)
            try statements.addAccount.run()
            return AccountIndex(row: connection.lastInsertedRow, checkedVersion: version)
        }
        let index = AccountIndex(row: row, checkedVersion: version)
        try statements.claim.bind(1, row)
        try statements.claim.bind(2, token)
        try statements.claim.run()
        try statements.channelsWithMarks.bind(1, row)
        while try statements.channelsWithMarks.step() {
            index.channelsWithMarks.insert(statements.channelsWithMarks.int64(0))
        }
        try statements.deliveries.bind(1, row)
        while try statements.deliveries.step() {
            index.deliveries[statements.deliveries.string(1)] = statements.deliveries.int64(0)
        }
        try statements.outbox.bind(1, row)
        while try statements.outbox.step() {
            index.outbox[statements.outbox.string(1)] = statements.outbox.int64(0)
        }
        return index
    }

    private func forget(_ name: String) {
        guard let index = indexes.removeValue(forKey: name) else { return }
        channelsRemembered -= index.channels.count
    }

    private func row(ofGuild guild: String, in index: AccountIndex) throws(SQLiteFailure) -> Int64 {
        if let row = index.guilds[guild] { return row }
        let row = try row(of: guild, below: index.row, find: statements.findGuild, add: statements.addGuild)
        index.guilds[guild] = row
        return row
    }

    func row(of key: ChannelKey, in index: AccountIndex) throws(SQLiteFailure) -> Int64 {
        if let row = index.channels[key] { return row }
        let guild = try row(ofGuild: key.guild, in: index)
        let row = try row(of: key.channel, below: guild, find: statements.findChannel, add: statements.addChannel)
        if channelsRemembered >= Self.mostChannelsRemembered {
            for index in indexes.values { index.channels = [:] }
            channelsRemembered = 0
        }
        // Counted after the index is known to `indexes`: a new one is put there before it is written to.
        channelsRemembered += 1
        index.channels[key] = row
        return row
    }

    private func row(
        of name: String, below parent: Int64, find: SQLiteStatement, add: SQLiteStatement
    ) throws(SQLiteFailure) -> Int64 {
        try find.bind(1, parent)
        try find.bind(2, name)
        if let row = try find.firstInt64() { return row }
        try add.bind(1, parent)
        try add.bind(2, name)
        try add.run()
        return connection.lastInsertedRow
    }

    // MARK: Removing

    private func remove(_ name: String) throws(SQLiteFailure) {
        forget(name)
        try statements.findAccount.bind(1, name)
        guard let row = try statements.findAccount.firstInt64() else { return }
        for statement in statements.removals {
            try statement.bind(1, row)
            try statement.run()
        }
    }

    /// Removes the account's channels that nothing refers to any more.
    private func sweepChannels(of index: AccountIndex) throws(SQLiteFailure) {
        try statements.sweepChannels.bind(1, index.row)
        try statements.sweepChannels.run()
        channelsRemembered -= index.channels.count
        index.channels = [:]
    }
}
