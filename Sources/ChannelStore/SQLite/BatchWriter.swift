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
    /// Of this batch: the channels whose cursors moved, the accounts that forgot channels.
    private var moved: [ChannelIndex] = []
    private var toSweep: [AccountIndex] = []

    /// More are looked up again.
    private static let mostChannelsRemembered = 16_384

    init(_ connection: SQLiteConnection, token: Int64) throws(SQLiteFailure) {
        self.connection = connection
        self.token = token
        statements = try WriteStatements(connection)
    }

    /// Writes all of it or nothing.
    func write(_ batch: StoreBatch) throws(SQLiteFailure) {
        guard !batch.items.isEmpty else { return }
        if batch.mustOutlivePower != outlivesPower {
            // A synced commit covers the commits before it that were not.
            try connection.run(batch.mustOutlivePower ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL")
            outlivesPower = batch.mustOutlivePower
        }
        do {
            try statements.begin.run()
            // Changes when another connection has written.
            version = try statements.dataVersion.firstInt64() ?? 0
            for item in batch.items {
                if item.removes { try remove(item.key.account) }
                guard !item.changes.isEmpty else { continue }
                let index = try index(of: item.key.account)
                for change in item.changes { try write(change, in: index) }
            }
            try writeCursors()
            for index in toSweep where index.needsSweep { try sweepChannels(of: index) }
            toSweep.removeAll(keepingCapacity: true)
            try statements.commit.run()
        } catch {
            connection.rollBack()
            // They speak of rows that were taken back.
            indexes = [:]
            moved = []
            toSweep = []
            channelsRemembered = 0
            throw error
        }
        if channelsRemembered > Self.mostChannelsRemembered { forgetChannels() }
    }

    private func write(_ change: StoreChange, in index: AccountIndex) throws(SQLiteFailure) {
        switch change {
        case .cursor(let key, let sequence, let newest):
            let channel = try channel(key, in: index)
            move(channel, .set(sequence, newest: newest))
            if channel.mayHaveMarks { try dropMarks(of: channel, upTo: sequence, in: index) }
        case .log(let key, let log):
            try statements.setLog.bind(1, try channel(key, in: index).row)
            try statements.setLog.bind(2, Int64(log.era))
            try statements.setLog.bind(3, log.notBefore)
            try statements.setLog.run()
        case .forgetChannel(let key):
            let channel = try channel(key, in: index)
            move(channel, .gone)
            try statements.endSearch.bind(1, channel.row)
            try statements.endSearch.run()
            if channel.mayHaveMarks { try dropMarks(of: channel, upTo: nil, in: index) }
            if !index.needsSweep { toSweep.append(index) }
            index.needsSweep = true
        case .wakeup(let key, let sequence):
            try addMark(.wakeup, sequence, to: try channel(key, in: index), in: index)
        case .taken(let key, let sequence):
            try addMark(.taken, sequence, to: try channel(key, in: index), in: index)
        case .delivery(let delivery): try write(delivery, in: index)
        case .settled(let id):
            guard let row = index.deliveries.removeValue(forKey: id) else { return }
            try statements.dropDelivery.bind(1, row)
            try statements.dropDelivery.run()
        case .outbox(let entry): try write(entry, in: index)
        case .outboxRemoved(let id):
            guard let row = index.outbox.removeValue(forKey: id) else { return }
            try dropMedia(of: row)
            try statements.dropOutbox.bind(1, row)
            try statements.dropOutbox.run()
        case .listed(let guild, let at):
            try statements.setListed.bind(1, try row(ofGuild: guild, in: index))
            try statements.setListed.bind(2, at)
            try statements.setListed.run()
        case .note(let name, let value):
            let statement = value == nil ? statements.dropNote : statements.setNote
            try statement.bind(1, index.row)
            try statement.bind(2, name)
            if let value { try statement.bind(3, value) }
            try statement.run()
        case .running(let value):
            try statements.setRunning.bind(1, index.row)
            try statements.setRunning.bind(2, Int64(value ? 1 : 0))
            try statements.setRunning.run()
        }
    }

    // MARK: Cursors

    /// Written when the batch is through: only where they end up matters.
    private func move(_ channel: ChannelIndex, _ cursor: ChannelIndex.Cursor) {
        if case .unchanged = channel.cursor { moved.append(channel) }
        channel.cursor = cursor
    }

    private func writeCursors() throws(SQLiteFailure) {
        for channel in moved {
            switch channel.cursor {
            case .unchanged: continue
            case .set(let sequence, let newest):
                try statements.setCursor.bind(1, channel.row)
                try statements.setCursor.bind(2, sequence)
                try statements.setCursor.bind(3, newest)
                try statements.setCursor.run()
            case .gone:
                try statements.dropCursor.bind(1, channel.row)
                try statements.dropCursor.run()
            }
            channel.cursor = .unchanged
        }
        moved.removeAll(keepingCapacity: true)
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
        forgetChannels(of: index)
    }

    private func forgetChannels(of index: AccountIndex) {
        for channel in index.channels.values { channel.cursor = .unchanged }
        channelsRemembered -= index.channels.count
        index.channels = [:]
        index.latest = nil
    }

    private func forgetChannels() {
        for index in indexes.values { forgetChannels(of: index) }
    }

    private func row(ofGuild guild: String, in index: AccountIndex) throws(SQLiteFailure) -> Int64 {
        if let row = index.guilds[guild] { return row }
        let row = try row(of: guild, below: index.row, find: statements.findGuild, add: statements.addGuild)
        index.guilds[guild] = row
        return row
    }

    func channel(_ key: ChannelKey, in index: AccountIndex) throws(SQLiteFailure) -> ChannelIndex {
        if let latest = index.latest, latest.key == key { return latest.channel }
        if let channel = index.channels[key] {
            index.latest = (key, channel)
            return channel
        }
        let guild = try row(ofGuild: key.guild, in: index)
        let row = try row(of: key.channel, below: guild, find: statements.findChannel, add: statements.addChannel)
        let channel = ChannelIndex(row: row, mayHaveMarks: index.channelsWithMarks.contains(row))
        channelsRemembered += 1
        index.channels[key] = channel
        index.latest = (key, channel)
        return channel
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
        indexes[name]?.needsSweep = false
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
        forgetChannels(of: index)
        index.needsSweep = false
    }
}
