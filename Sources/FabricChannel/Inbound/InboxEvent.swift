import ChannelStore
import FabricAPI
import JSONBytes

extension Inbox {
    /// What happened, as far as it concerns what comes in. Guilds are named by the number the inbox gave them.
    enum Event {
        /// The session says who the agent is and which guilds it is a member of.
        case session(user: String, name: String? = nil, guilds: [String])

        // The connection of a guild.
        case askedForToken(Int)
        case connecting(Int)
        case connected(Int)
        case disconnected(Int)
        /// `date`: when the list was made, by the guild's clock.
        case listed(Int, [ListedChannel], GuildFeed.ListPurpose, epoch: Int, date: Double? = nil)
        case listFailed(Int, GuildFeed.ListFailure, GuildFeed.ListPurpose, epoch: Int)
        case joinsEnded(Int, [Int], answered: Int, epoch: Int)

        // What the socket and history bring.
        /// A message, live. The view is good only for the call.
        case message(Int, FabricMessageView, JSONView)
        /// A message event that could not be read.
        case unreadable(Int)
        case membership(Int, FabricMembershipEvent, joined: Bool)
        /// A page of history: the answer to `readHistory`.
        case page(Int, slot: Int, number: UInt64, [FabricHistory.Row])
        case pageFailed(Int, slot: Int, number: UInt64, isFinal: Bool, reason: String)

        // Deliveries.
        /// The gateway's answer to a delivery for the record that had waited in a lane.
        case recordAnswered(Int, slot: Int, PendingMessage, isStored: Bool, DeliveryAnswer)
        /// The gateway did not adopt a live message for the record at once.
        case recordTaken(Int, slot: Int, JSONView)
        /// The files of a wake delivery are here, or named as failed.
        case fetched(String)
        /// The gateway's answer to a wake delivery.
        case answered(String, DeliveryAnswer)
        /// The gateway reports what became of a delivery.
        case settled(String, DeliveryOutcome)
        /// Our own message is in the guild's log.
        case posted(guild: String, channel: String, sequence: Int64)

        // The store, and time.
        /// Everything committed up to this ticket is kept.
        case stored(UInt64)
        case storeHealth(isGood: Bool)
        /// The turn of the loop is over: what gathered is committed.
        case flush
        /// `due` has come.
        case tick
        /// No new turns: the account is about to stop.
        case drain
        /// The account stops.
        case stop

        /// The operator wants a delivery that was set aside to be tried again, or dropped.
        case resubmit(String)
        case drop(String)
    }

    /// What is to be done.
    enum Action {
        /// The session has the guild: connect; or has it no more: disconnect.
        case open(Int)
        case close(Int)
        case list(Int, GuildFeed.ListPurpose, epoch: Int)
        case join(Int, [Int], channels: [String], epoch: Int, timeout: Duration)
        case leave(Int, channel: String)
        case readHistory(Int, slot: Int, number: UInt64, channel: String, ClosedRange<Int64>)
        case replaceConnection(Int, reason: String)
        /// The live message in hand goes to the gateway, for the record.
        case record(Int, slot: Int, isFromAgent: Bool)
        /// A message that had waited goes to the gateway, for the record.
        case deliverRecord(Int, slot: Int, PendingMessage, isStored: Bool)
        /// The turn is kept: fetch the message's files into the directory, if it has any.
        case fetch(String, directory: String?)
        /// Hand the turn to the gateway.
        case deliver(String)
        case removeMedia(String)
        case endTurn(EndedTurn)
        case commit([StoreChange], ticket: UInt64)
        /// Send `flush` when the turn of the loop is over.
        case flushSoon
        case report(Int, GuildFeed.Report)
        case notice(Notice)
        case phaseChanged(Int)
        /// What became of a message, and why; only while `traces` is on.
        case trace(Int, slot: Int, sequence: Int64?, Why)
        /// Something a status shows has changed.
        case statusChanged
    }

    /// What an operator is told besides the reports of a guild.
    enum Notice: Equatable, Sendable {
        case turnExpired(delivery: String)
        case setAside(delivery: String, reason: String)
        case agentsHeld(guild: String, channel: String, author: String)
        case mayBeAwaited(delivery: String)
    }

    /// What becomes of a message. The words are those of the log.
    enum Why: String, Sendable {
        case wakes = "wakes the agent"
        case record = "for the record: the guild does not wake the agent"
        case recordCaughtUp = "for the record: caught up, and nothing says that it wakes the agent"
        case mayBeAwaited = "caught up; it may be the agent's turn: it wakes the agent unless somebody writes"
        case ignored = "not for the agent: triage"
        case own = "its own"
        case stop = "ends the turn that runs"
        case duplicate = "seen before"
        case waitsForGap = "waits until the gap before it is read"
        case postponed = "left in the guild: the lane is full, or nothing can be recorded"
        case agentBudget = "for the record: agents answer each other, the budget is used up"
        case beforeUs = "from before the agent came in"
        case tooOld = "older than catchUp.maximumHours"
    }

    /// A turn that is over.
    struct EndedTurn: Equatable, Sendable {
        var id: String
        var guild: String
        var channel: String
        var outcome: DeliveryOutcome
        /// The conversation takes turns: who has nothing to say must say so.
        var mustAnswer: Bool
        var mediaDirectory: String?
    }
}
