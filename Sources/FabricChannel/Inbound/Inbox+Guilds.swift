import ChannelStore
import FabricAPI

/// The guilds of the session, and what their feeds want done.
extension Inbox {
    mutating func session(
        _ user: String, _ name: String?, _ names: [String], now: Moment, _ actions: inout [Action]
    ) {
        if self.user != user || userName != name {
            self.user = user
            userName = name
            userBytes = Array(user.utf8)
            for number in guilds.indices { guilds[number].namesChanged() }
        }
        let present = Set(names)
        for name in names {
            let number = numbers[name] ?? addGuild(name)
            guard !guilds[number].isOpen else { continue }
            guilds[number].isOpen = true
            guilds[number].feed.takesIn = isStoreGood
            actions.append(.open(number))
        }
        for number in guilds.indices where guilds[number].isOpen && !present.contains(guilds[number].nodeID) {
            guilds[number].isOpen = false
            feed(number, &actions) { $0.disconnected(stopped: true) }
            actions.append(.close(number))
            for slot in guilds[number].feed.possibleTurns.keys.sorted() { letGo(number, slot, now: now, &actions) }
        }
        actions.append(.statusChanged)
    }

    mutating func addGuild(
        _ name: String, restored: [String: RestoredChannel] = [:], eras: [String: Int] = [:],
        listedAt: Double? = nil, isUncertain: Bool = false
    ) -> Int {
        let feed = GuildFeed(
            settings: settings.feed, restored: restored, eras: eras, listedAt: listedAt, isUncertain: isUncertain,
            seed: random.next())
        guilds.append(GuildInbox(nodeID: name, feed: feed))
        numbers[name] = guilds.count - 1
        return guilds.count - 1
    }

    mutating func listed(
        _ guild: Int, _ channels: [ListedChannel], _ purpose: GuildFeed.ListPurpose, epoch: Int, date: Double?,
        now: Moment, _ actions: inout [Action]
    ) {
        guard guilds[guild].isOpen else { return }
        guilds[guild].namesChanged()
        let before = guilds[guild].feed.listedAt
        feed(guild, &actions) {
            $0.listed(channels, purpose: purpose, epoch: epoch, date: date, now: now.instant, wall: now.wall)
        }
        if let at = guilds[guild].feed.listedAt, at != before {
            pending.append(.listed(guild: guilds[guild].nodeID, at: at))
            flushSoon(&actions)
        }
        for slot in guilds[guild].feed.slots.indices where guilds[guild].feed.slots[slot].lane.waitingCount > 0 {
            waitAgain(guild, slot, now: now)
            pump(guild, slot, now: now, &actions)
        }
    }

    mutating func membership(
        _ guild: Int, _ change: FabricMembershipEvent, joined: Bool, now: Moment, _ actions: inout [Action]
    ) {
        // The guild sends these to the user concerned; a guild that sends them to all is not followed for others.
        if let other = change.userId, other != user { return }
        guilds[guild].namesChanged()
        let left = joined ? nil : guilds[guild].feed.slot(of: change.channelId)
        feed(guild, &actions) {
            joined
                ? $0.channelJoined(
                    change.channelId, type: change.xType ?? .unknown, occurredAt: change.occurredAt, wall: now.wall)
                : $0.channelLeft(change.channelId)
        }
        if let left { pump(guild, left, now: now, &actions) }
        actions.append(.statusChanged)
    }

    // MARK: The feed

    /// Lets the feed of a guild decide, and turns its decisions into actions.
    mutating func feed(
        _ guild: Int, _ actions: inout [Action], _ body: (inout GuildFeed) -> [GuildFeed.Action]
    ) {
        let decided = body(&guilds[guild].feed)
        perform(decided, guild, &actions)
    }

    mutating func perform(_ decided: [GuildFeed.Action], _ guild: Int, _ actions: inout [Action]) {
        for action in decided {
            switch action {
            case .list(let purpose, let epoch): actions.append(.list(guild, purpose, epoch: epoch))
            case .join(let slots, let epoch, let timeout):
                let channels = slots.map { guilds[guild].feed.slots[$0].id }
                actions.append(.join(guild, slots, channels: channels, epoch: epoch, timeout: timeout))
            case .leave(let channel): actions.append(.leave(guild, channel: channel))
            case .read(let slot, let number, let range):
                let channel = guilds[guild].feed.slots[slot].id
                actions.append(.readHistory(guild, slot: slot, number: number, channel: channel, range))
            case .replaceConnection(let reason): actions.append(.replaceConnection(guild, reason: reason))
            case .forget(let channel):
                guilds[guild].namesChanged()
                let key = ChannelKey(guild: guilds[guild].nodeID, channel: channel)
                pending.append(.forgetChannel(key))
                guard let slot = guilds[guild].feed.slot(of: channel) else { continue }
                for sequence in guilds[guild].feed.slots[slot].position.wakeups.sorted() {
                    pending.append(.wakeup(key, sequence: sequence))
                }
            case .phaseChanged: actions.append(.phaseChanged(guild))
            case .report(let report):
                switch report {
                case .skipped(_, let count): guilds[guild].skipped = guilds[guild].skipped.adding(saturating: count)
                case .historyShort(let channel, let missing):
                    // An open gap is tried again, and told as that.
                    guard let slot = guilds[guild].feed.slot(of: channel) else { break }
                    guard !guilds[guild].feed.slots[slot].position.isOpen else { break }
                    guilds[guild].missing = guilds[guild].missing.adding(saturating: missing)
                default: break
                }
                actions.append(.report(guild, report))
            }
        }
        if !pending.isEmpty || !guilds[guild].feed.dirty.isEmpty { flushSoon(&actions) }
    }

    /// A guild said what no log can say.
    mutating func implausible(_ guild: Int, channel: String, what: String, _ actions: inout [Action]) {
        guilds[guild].feed.protocolErrors += 1
        // Said for the first, and then ever more rarely: a guild that does it does it often.
        let count = guilds[guild].feed.protocolErrors
        if count & (count - 1) == 0 { actions.append(.report(guild, .implausible(channel: channel, what: what))) }
    }

    func key(_ guild: Int, _ slot: Int) -> ChannelKey {
        ChannelKey(guild: guilds[guild].nodeID, channel: guilds[guild].feed.slots[slot].id)
    }

    /// Whether a slot still is the one a number was given for.
    func isSlot(_ guild: Int, _ slot: Int) -> Bool {
        guilds.indices.contains(guild) && guilds[guild].feed.slots.indices.contains(slot)
    }
}
