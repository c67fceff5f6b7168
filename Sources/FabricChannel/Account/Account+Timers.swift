import ChannelStore
import SocketIO

/// The one timer of an account.
struct AccountTimer {
    var timer: LoopTimer?
    var due: ContinuousClock.Instant?
}

/// Time and the store: the two that answer later.
extension Account {
    /// One timer for everything that waits for a time.
    func armTimer() {
        let due = earlier(
            earlier(inbox.due, outgoing.due),
            earlier(
                settings.saysPresence ? presence.due : nil, guestWatch.next(patience: settings.guestPatience)))
        guard due != timer.due else { return }
        timer.timer?.cancel()
        timer = AccountTimer()
        guard let due, !ending.hasBegun else { return }
        timer.due = due
        timer.timer = loop.schedule(after: max(.zero, ContinuousClock.now.duration(to: due))) { [weak self] in
            self?.assumeIsolated { account in
                account.timer = AccountTimer()
                account.handle(Inbox.Event.tick)
                account.handle(Outgoing.Event.tick)
                account.moveOn()
                account.sayPresence()
            }
        }
    }

    /// What gathers while the loop handles a batch of frames is committed together.
    func flushSoon() {
        signs.lastInboundAt = environment.wallClock()
        loop.onTurnEnd { [weak self] in self?.assumeIsolated { $0.handle(Inbox.Event.flush) } }
    }

    /// Gives changes to the store, in order, and goes on when they are safe.
    func commit(_ changes: [StoreChange], then next: @escaping @Sendable (isolated Account) -> Void) {
        let loop = loop
        ending.commitBegan()
        environment.store.commit(changes, account: id) { [weak self] outcome in
            guard let self else { return }
            let done: @Sendable () -> Void = {
                self.assumeIsolated { account in
                    account.ending.commitEnded()
                    switch outcome {
                    case .kept: next(account)
                    case .refused: account.environment.lease?.refused(account)
                    }
                    account.ending.checkStored()
                }
            }
            if loop.isOnLoop { done() } else { loop.execute(done) }
        }
    }
}

/// The earlier of two times that there may be. Every decision of an account ends here: an array would be an allocation.
private func earlier(
    _ one: ContinuousClock.Instant?, _ other: ContinuousClock.Instant?
) -> ContinuousClock.Instant? {
    guard let one, let other else { return one ?? other }
    return min(one, other)
}
