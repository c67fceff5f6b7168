import ChannelStore
import FabricAPI

@testable import FabricChannel

/// What a guild answers that is not true: empty and partial lists, heads that no log has, history that fails or is empty.
/// A lie is not told more than three times before the truth is heard, or it could not be known; and no list has a head that is too low,
/// which two lists in a row, one of them merely late, make a restore from a backup.
struct Liar {
    unowned let world: World
    private var historyLies: [String: Int] = [:]
    private var listLies: [String: Int] = [:]
    /// History answers nothing at all for a while.
    var historyFailsUntil: Int64 = 0
    var listsFailUntil: Int64 = 0

    init(world: World) { self.world = world }

    /// Nil: the request fails.
    mutating func list(_ guild: SimGuild) -> (isTrue: Bool, channels: [ListedChannel])? {
        if world.schedule.now < listsFailUntil { return nil }
        var channels = guild.list()
        guard world.isHit(.lyingLists, 0.2), listLies[guild.id, default: 0] < 1, !channels.isEmpty else {
            return (true, channels)
        }
        listLies[guild.id, default: 0] += 1
        let at = world.schedule.random.below(channels.count)
        // What the first list says of a channel is where the agent begins: nothing could tell that it is not so.
        let isFirst = world.store.durable.listedAt[guild.id] == nil
        switch isFirst ? 2 + world.schedule.random.below(3) : world.schedule.random.below(5) {
        // Of a channel that the account does not know nothing could tell that the agent is in it already.
        case 0: channels.removeAll { isKnown($0, guild) }
        case 1: if isKnown(channels[at], guild) { channels.remove(at: at) }
        case 2: channels[at].lastSeq = .max
        case 3: channels[at].lastSeq = .min
        default: channels[at].lastSeq = nil
        }
        world.trace("the list lies")
        return (false, channels)
    }

    private func isKnown(_ channel: ListedChannel, _ guild: SimGuild) -> Bool {
        world.store.durable.cursors[ChannelKey(guild: guild.id, channel: channel.id)] != nil
    }

    /// The account has heard what the list really is.
    mutating func wasHeard(_ guild: SimGuild) { listLies[guild.id] = 0 }

    /// The account has heard what history really is.
    mutating func wasHeard(_ guild: SimGuild, _ channel: String) { historyLies[guild.id + "/" + channel] = 0 }

    mutating func history(
        _ guild: SimGuild, _ channel: String, _ range: ClosedRange<Int64>
    ) -> (isTrue: Bool, answer: Result<[FabricHistory.Row], SimTrouble>) {
        if world.schedule.now < historyFailsUntil { return (false, .failure(.passing("503"))) }
        let key = guild.id + "/" + channel
        if world.isHit(.lyingHistory, 0.3), historyLies[key, default: 0] < 3 {
            historyLies[key, default: 0] += 1
            world.trace("history lies")
            return (false, world.schedule.random.chance(0.5) ? .success([]) : .failure(.final(404)))
        }
        guard let rows = guild.history(channel, range.lowerBound, range.upperBound, Inbox.page) else {
            return (true, .failure(.final(403)))
        }
        return (true, .success(rows))
    }
}
