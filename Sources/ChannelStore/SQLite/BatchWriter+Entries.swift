/// Deliveries and outgoing messages, row by row.
extension BatchWriter {
    func write(_ entry: KeyedChanges<StoredDelivery>.Entry, in index: AccountIndex) throws(SQLiteFailure) {
        if entry.dropsKept, let row = index.deliveries.removeValue(forKey: entry.id) {
            try statements.dropDelivery.bind(1, row)
            try statements.dropDelivery.run()
        }
        guard let delivery = entry.element else { return }
        let channel = try row(of: delivery.key, in: index)
        let kept = index.deliveries[entry.id]
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
        if kept == nil { index.deliveries[entry.id] = connection.lastInsertedRow }
    }

    func write(_ entry: KeyedChanges<OutboxEntry>.Entry, in index: AccountIndex) throws(SQLiteFailure) {
        if entry.dropsKept, let row = index.outbox.removeValue(forKey: entry.id) {
            try dropMedia(of: row)
            try statements.dropOutbox.bind(1, row)
            try statements.dropOutbox.run()
        }
        guard let message = entry.element else { return }
        let channel = try row(of: message.key, in: index)
        let kept = index.outbox[entry.id]
        let statement = kept == nil ? statements.addOutbox : statements.changeOutbox
        try statement.bind(1, kept ?? index.row)
        try statement.bind(2, message.id)
        try statement.bind(3, channel)
        try statement.bind(4, message.replyTo)
        try statement.bind(5, message.floor)
        try statement.bind(6, Int64(bitPattern: message.order))
        try statement.bind(7, message.deadReason)
        try statement.bind(8, message.text)
        try statement.run()
        if let kept {
            try dropMedia(of: kept)
        }
        let row = kept ?? connection.lastInsertedRow
        index.outbox[entry.id] = row
        for (number, media) in message.media.enumerated() {
            try statements.addMedia.bind(1, row)
            try statements.addMedia.bind(2, Int64(number))
            try statements.addMedia.bind(3, media.path)
            try statements.addMedia.bind(4, media.name)
            try statements.addMedia.bind(5, media.mediaType)
            try statements.addMedia.bind(6, media.uploaded)
            try statements.addMedia.run()
        }
    }

    private func dropMedia(of row: Int64) throws(SQLiteFailure) {
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
