import ChannelStore
import FabricAPI
import Logging
import Sessions
import SocketIO

/// One agent, as a member of its guilds.
///
/// Isolated to the realtime loop: what the sockets bring is handled where it arrives, without a lock and without a hop. It
/// decides nothing: `Inbox`, `Outgoing` and `AccountLife` do, and its extensions carry out what they say, each what its
/// file's name tells.
actor Account {
    let id: String
    let environment: AccountEnvironment
    let logger: Logger

    nonisolated var loop: RealtimeLoop { environment.loop }
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    var facts: AccountFacts
    var settings: AccountSettings
    var life = AccountLife()
    @exclusivity(unchecked) var inbox: Inbox
    var outgoing: Outgoing
    @exclusivity(unchecked) var actions = AccountActions()

    /// The guilds of the session, by the number the inbox gave them.
    var links: [Int: GuildLink] = [:]
    var session = AccountSession()
    var answers = SendAnswers()
    var media = FetchedMedia()
    var buffer: DeliveryBuffer { environment.buffer }
    var timer = AccountTimer()
    var tasks = AccountTasks()
    var ending = AccountEnding()
    var presence = PresencePlan()
    // Asked for every message, like the inbox.
    @exclusivity(unchecked) var recent = RecentHistory()
    var heldChanges = HeldChanges()
    @exclusivity(unchecked) var guestWatch = GuestWatch()
    var tools = AccountTools()
    var signs: AccountSigns

    init(id: String, settings: AccountSettings, facts: AccountFacts, environment: AccountEnvironment) {
        self.id = id
        self.facts = facts
        self.settings = settings
        self.environment = environment
        var logger = environment.logger
        logger[metadataKey: "account"] = "\(id)"
        self.logger = logger
        signs = AccountSigns(startedAt: environment.wallClock())
        var nothing: [Inbox.Action] = []
        inbox = Inbox(
            account: id, settings: settings.inbox, stored: StoredAccount(), isHandover: false, mediaRoot: "",
            agents: environment.agents, seed: 0, now: environment.moment, &nothing)
        outgoing = Outgoing(settings: settings.outgoing, stored: StoredAccount(), seed: 0)
    }

    // MARK: Deciding and carrying out

    /// Lets the inbox decide about an event, and carries out what it says.
    func handle(_ event: Inbox.Event) {
        inbox.handle(event, now: environment.moment, &actions.inbox)
        perform()
    }

    func handle(_ event: Outgoing.Event) {
        outgoing.handle(event, now: .now, &actions.outgoing)
        perform()
    }

    /// Carries out what was decided, in order. What it leads to is appended and carried out by the same loop.
    func perform() {
        guard !actions.isPerforming else { return }
        actions.isPerforming = true
        var at = 0
        while at < actions.inbox.count || !actions.outgoing.isEmpty {
            if at < actions.inbox.count {
                let action = actions.inbox[at]
                at += 1
                perform(action)
            }
            performOutgoing()
        }
        // Kept for the next; but an agent that did a lot once does not hold room for that for ever.
        actions.inbox.removeAll(keepingCapacity: actions.inbox.count <= 2)
        actions.isPerforming = false
        deliverHeldChanges()
        armTimer()
        checkDrained()
    }

    private func performOutgoing() {
        var at = 0
        while at < actions.outgoing.count {
            let action = actions.outgoing[at]
            at += 1
            perform(action)
        }
        actions.outgoing.removeAll(keepingCapacity: true)
    }

    private func perform(_ action: Inbox.Action) {
        switch action {
        case .open(let guild): open(guild)
        case .close(let guild): close(guild)
        case .list(let guild, let purpose, let epoch): list(guild, purpose, epoch: epoch)
        case .join(let guild, let slots, let channels, let epoch, let timeout):
            join(guild, slots, channels: channels, epoch: epoch, timeout: timeout)
        case .leave(let guild, let channel): leave(guild, channel: channel)
        case .readHistory(let guild, let slot, let number, let channel, let range):
            readHistory(guild, slot: slot, number: number, channel: channel, range)
        case .replaceConnection(let guild, let reason): replaceConnection(guild, reason: reason)
        // Delivered where it arrived, see `received`.
        case .record: break
        case .deliverRecord(let guild, let slot, let message, let isStored):
            if mayAct { deliverRecord(guild, slot: slot, message, isStored: isStored) }
        case .fetch(let id, let directory): fetch(id, into: directory)
        case .deliver(let id): if mayAct { deliverTurn(id) }
        case .removeMedia(let directory): removeMedia(directory)
        case .endTurn(let turn): endTurn(turn)
        case .commit(let changes, let ticket): commit(changes) { $0.handle(Inbox.Event.stored(ticket)) }
        case .flushSoon: flushSoon()
        case .report(let guild, let report):
            log(report, of: guild)
            noteProblem(report, of: guild)
        case .notice(let notice): log(notice)
        case .phaseChanged(let guild): phaseChanged(guild)
        case .trace(let guild, let slot, let sequence, let why):
            trace(why.rawValue, inbox.nodeID(guild), inbox.channel(guild, slot), sequence)
        case .statusChanged: statusChanged()
        }
    }

    private func perform(_ action: Outgoing.Action) {
        switch action {
        case .keepFiles(let entry, let media): keepFiles(of: entry, media)
        case .dropFiles(let entry): dropFiles(of: entry)
        case .removeMedia(let directory): removeMedia(directory)
        case .commit(let changes, let ticket): commit(changes) { $0.handle(Outgoing.Event.stored(ticket)) }
        case .upload(let entry, let index): run { await $0.upload(entry, index: index) }
        case .post(let entry): run { await $0.post(entry) }
        case .readBack(let entry): run { await $0.readBack(entry) }
        case .inLog(let key, let sequence):
            handle(.posted(guild: key.guild, channel: key.channel, sequence: sequence))
        case .answer(let requests, let answer): self.answer(requests, answer)
        case .failed(let entry, let reason):
            tools.posts.take(entry)?(.failure(ToolPosts.Delayed(reason: reason)))
            logger.warning(
                "a message could not be sent yet; trying again",
                metadata: ["entry": "\(entry)", "reason": "\(reason)"])
        case .statusChanged: statusChanged()
        }
    }

    /// The end of a turn and its answer are one decision, and one commit.
    private func endTurn(_ turn: Inbox.EndedTurn) {
        let floor = inbox.highest(ChannelKey(guild: turn.guild, channel: turn.channel))
        media.forget(turn.id)
        for directory in tools.downloads.end(turn.id) { removeMedia(directory) }
        turnEnded(turn)
        handle(.turnEnded(turn, floor: floor))
    }

    // MARK: Settings

    /// Takes up settings that need no new connection.
    func adopt(_ settings: AccountSettings, facts: AccountFacts) {
        self.settings = settings
        self.facts = facts
        inbox.adopt(settings.inbox, now: .now)
        outgoing.settings = settings.outgoing
        perform()
        sayPresence()
        syncCommands()
    }
}

/// What an account has decided and not carried out yet.
struct AccountActions {
    var inbox: [Inbox.Action] = []
    var outgoing: [Outgoing.Action] = []
    /// Whoever carries them out takes in what is added meanwhile.
    var isPerforming = false
}
