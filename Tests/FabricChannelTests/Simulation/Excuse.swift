/// Why something that is checked need not hold: what cannot be had, each with its reason. They are asked only when a check would
/// fail, and counted: `./setup simulate` prints how often each was needed, and `--without NAME` plays without one.
enum Excuse: String, CaseIterable, Sendable {
    /// The run of the process died before the store had that it began, or a loss of power took back what the guild can
    /// repeat: with it goes the knowledge that something was delivered. Or before the store had that a log went back: then what was
    /// delivered of it. Once for each message and each such end.
    case forgotten
    /// The agent left the channel after the message was posted: what it has missed by then it is not owed, and when it comes
    /// back it begins where it came in, by the clocks.
    case left
    /// The guild was restored from a backup, and the position was used before: if the log has grown back to where the account
    /// was before two lists showed it shorter, nothing but the message at that very position tells, and that one is the
    /// agent's own, or was passed over, or the account never heard one there.
    /// Or what stood there was taken in ahead of a gap, and an instance that began since knows only that something was; or a
    /// list that was made before the restore and came after it named a head at or beyond it, so that it passed for deleted.
    case usedPosition
    /// The guild tells no time, and was restored from a backup before the account had taken in anything in the channel: nothing
    /// tells which of its messages are new.
    /// Or it was posted within the second in which the channel began for the agent.
    case noTime
    /// An event claimed the position for another message. If the account has forgotten by then what the claim looked like, the
    /// true one is taken for it; and the flag of one goes for the other's. Or it went ahead of a gap, so that lists seemed to
    /// have gone back behind the true one; or it passed for the newest message when a restore was noticed.
    case claimed
    /// History failed so long that live messages went ahead of the gap the message was in, or did not show what there is.
    case gapTrouble
    /// What the socket brought after a restore from a backup is released in the order of its positions, and what is found in
    /// history later is older; what was cut off from the log before it could be delivered has no place there, and what
    /// stands where another did may have been taken for that one until history shows it.
    case restoredOrder
    /// What is for the record and delivered again after a crash comes late: the newer ones were known to be delivered.
    case lateRecord
    /// A kept flag is for a position. After a restore from a backup another message may stand there.
    case restoredFlag
    /// What another agent says may be held back from waking.
    case agents
    /// The guild tells no time, and the clocks differ, or a list that lacks the channel was on its way for more than five
    /// seconds: which messages are from before the agent's beginning cannot be told.
    case clocks
    /// Catching up is bounded, and what is too much is skipped. It is not reported where nobody can say how much of it is from
    /// before the agent's beginning (after a join, a claim, or a restore), and the report may be lost with the power.
    case bounded
    /// A guild that does not know the keys, and no position to look from was known when the message was accepted; or when
    /// another of its channel was, which was posted again for it: what is sent after that is looked for behind it.
    case noFloor
    /// An earlier message of the channel was given up when it, or its refusal, had been forgotten with a run that died. A later
    /// one of the same words is taken for it, or it for the later one; and if the guild does not know the keys, what had been
    /// sent behind the refused one is looked for behind what is posted of it now.
    case forgottenRefusal
    /// A guild that does not know the keys, and an event claimed a position so high that the message was looked for above its
    /// own.
    case highFloor
    /// A guild that does not know the keys, and more messages were posted since than are looked through.
    case deepInLog
    /// The message was cut off from the log by a restore from a backup, or the guild forgot its key by one; or one of the same
    /// words is there twice for that.
    case cutOff
    /// A guild that does not know the keys: a turn that was under way when the agent left the channel may be asked again when it
    /// comes back.
    case leftTurn
    /// A guild that does not know the keys, and a turn that sends its texts one by one was run again: what it says now is not
    /// what it said.
    case saidOtherwise
    /// A delivery id means two messages: after a claim, a restore, or in a channel that was left. What is said to the second
    /// has the key of what was said to the first: the guild answers with where that lies, and what is sent next is looked for
    /// from there.
    case sharedID
    /// Thousands of messages at once: what comes last is not taken in within two periods.
    case overflow
}
