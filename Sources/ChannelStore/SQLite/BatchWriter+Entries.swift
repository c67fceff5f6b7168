/// Deliveries, outgoing messages and wake-ups, row by row.
extension BatchWriter {
    func write(_ delivery: StoredDelivery, in index: AccountIndex) throws(SQLiteFailure) {
        let channel = try channel(delivery.key, in: index).row
        let kept = index.deliveries[delivery.id]
        let statement = kept == nil ? statements.addDelivery : statements.changeDelivery
        try statement.bind(1, kept ?? index.row)
        try statement.bind(2, delivery.id)
        try statement.bind(3, channel)
        try statement.bind(4, delivery.sequence)
        try statement.bind(5, DeliveryFlags(delivery).rawValue)
        try statement.bind(6, Int64(delivery.attempts))
        try statement.bind(7, delivery.mediaDirectory)
        try statement.bind(8, delivery.deadReason)
        try statement.run(9, borrowing: delivery.message)
        if kept == nil { index.deliveries[delivery.id] = connection.lastInsertedRow }
    }

    func write(_ entry: OutboxEntry, in index: AccountIndex) throws(SQLiteFailure) {
        let channel = try channel(entry.key, in: index).row
        let kept = index.outbox[entry.id]
        let statement = kept == nil ? statements.addOutbox : statements.changeOutbox
        try statement.bind(1, kept ?? index.row)
        try statement.bind(2, entry.id)
        try statement.bind(3, channel)
        try statement.bind(4, entry.replyTo)
        try statement.bind(5, entry.floor)
        try statement.bind(6, Int64(bitPattern: entry.order))
        try statement.bind(7, entry.deadReason)
        try statement.bind(8, entry.text)
        try statement.run()
        let row = kept ?? connection.lastInsertedRow
        if kept == nil { index.outbox[entry.id] = row } else { try dropMedia(of: row) }
        for (number, media) in entry.media.enumerated() {
            try statements.addMedia.bind(1, row)
            try statements.addMedia.bind(2, Int64(number))
            try statements.addMedia.bind(3, media.path)
            try statements.addMedia.bind(4, media.name)
            try statements.addMedia.bind(5, media.mediaType)
            try statements.addMedia.bind(6, media.uploaded)
            try statements.addMedia.run()
        }
    }

    func addMark(
        _ kind: PositionMark, _ sequence: Int64, to channel: ChannelIndex, in index: AccountIndex
    ) throws(SQLiteFailure) {
        try statements.addMark.bind(1, index.row)
        try statements.addMark.bind(2, channel.row)
        try statements.addMark.bind(3, sequence)
        try statements.addMark.bind(4, kind.rawValue)
        try statements.addMark.run()
        channel.mayHaveMarks = true
        index.channelsWithMarks.insert(channel.row)
    }

    /// nil: all of them.
    func dropMarks(of channel: ChannelIndex, upTo end: Int64?, in index: AccountIndex) throws(SQLiteFailure) {
        try statements.dropMarks.bind(1, index.row)
        try statements.dropMarks.bind(2, channel.row)
        try statements.dropMarks.bind(3, end ?? .max)
        try statements.dropMarks.run()
        try statements.hasMarks.bind(1, index.row)
        try statements.hasMarks.bind(2, channel.row)
        guard try statements.hasMarks.firstInt64() == nil else { return }
        channel.mayHaveMarks = false
        index.channelsWithMarks.remove(channel.row)
    }

    func dropMedia(of row: Int64) throws(SQLiteFailure) {
        try statements.dropMedia.bind(1, row)
        try statements.dropMedia.run()
    }
}

/// The yes-or-no properties of a delivery, as they stand in the file.
struct DeliveryFlags: OptionSet {
    let rawValue: Int64

    static let wake = DeliveryFlags(rawValue: 1)
    static let caughtUp = DeliveryFlags(rawValue: 2)
    static let redelivered = DeliveryFlags(rawValue: 4)
    static let handedOver = DeliveryFlags(rawValue: 8)

    init(rawValue: Int64) { self.rawValue = rawValue }

    init(_ delivery: StoredDelivery) {
        var flags: DeliveryFlags = []
        if delivery.wake { flags.insert(.wake) }
        if delivery.caughtUp { flags.insert(.caughtUp) }
        if delivery.redelivered { flags.insert(.redelivered) }
        if delivery.handedOver { flags.insert(.handedOver) }
        self = flags
    }
}
