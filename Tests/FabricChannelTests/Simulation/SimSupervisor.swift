@testable import FabricChannel
@testable import GatewayHost

/// The supervisor of the gateway that is part of this repository: it starts the account, again when that failed, and restarts
/// it when its settings change or its health check says so.
final class SimSupervisor {
    private static let account = "me"

    unowned let world: World
    private var supervisor = Supervisor()
    private var run: UInt64 = 0
    private var isAlive = true
    private var wakesAt: ContinuousClock.Instant?
    private var sleeps = 0

    init(world: World) { self.world = world }

    func begin() { handle(.configured(account: Self.account, .eligible, changed: false)) }

    /// The process is gone.
    func end() { isAlive = false }

    func settingsChanged() { handle(.configured(account: Self.account, .eligible, changed: true)) }

    /// The status of the account, as the module would report it.
    func report() {
        guard let account = world.account else { return }
        let phases = account.inbox.guilds.filter(\.isOpen).map(\.feed.phase)
        let isConnected = !phases.isEmpty && phases.allSatisfy { $0 == .ready }
        let guilds = phases.map {
            AccountReport.Guild(connected: $0 == .ready, activityAt: world.moment.wall, reconnectAttempts: nil)
        }
        handle(
            .reported(
                account: Self.account, run: run,
                AccountReport(
                    running: true, connected: isConnected, lifecycle: isConnected ? .ready : .recovering,
                    guilds: guilds, takenAt: world.moment.wall)))
    }

    private func handle(_ event: Supervisor.Event) {
        guard isAlive else { return }
        for action in supervisor.handle(event, at: world.moment.instant, random: &world.schedule.random) {
            perform(action)
        }
        sleep()
    }

    private func perform(_ action: Supervisor.Action) {
        switch action {
        case .start(_, let run):
            self.run = run
            later(0.01) { [self] in start(run) }
        case .restart(_, let run, let reason):
            self.run = run
            restart(run, reason)
        case .pollStatus:
            later(0.01) { [self] in
                report()
                handle(.checkHealth)
            }
        case .notice(_, let words): world.trace("supervisor: \(words)")
        case .stop, .move: break
        }
    }

    private func start(_ run: UInt64) {
        guard run == self.run else { return }
        if world.isHit(.failingStarts, 0.5) {
            return handle(
                .startFailed(account: Self.account, run: run, .passing("what is kept of it cannot be read")))
        }
        world.startAccount()
        handle(.started(account: Self.account, run: run))
    }

    /// While the account is on its way from one instance to another, operations wait.
    private func restart(_ run: UInt64, _ reason: String) {
        guard run == self.run, world.host != nil else { return }
        if world.isMoving { return later(0.5) { [self] in restart(run, reason) } }
        guard world.account != nil else { return start(run) }
        world.move(handsOver: false) { [self] in handle(.started(account: Self.account, run: run)) }
    }

    private func sleep() {
        guard let next = supervisor.nextDeadline, next != wakesAt else { return }
        wakesAt = next
        sleeps += 1
        let sleep = sleeps
        later(world.seconds(until: next) + 1e-6) { [self] in
            guard sleep == sleeps else { return }
            wakesAt = nil
            if world.mutant == .startsOnce { return }
            handle(.tick)
        }
    }

    private func later(_ seconds: Double, _ body: @escaping () -> Void) {
        world.schedule.after(seconds) { [self] in if isAlive { body() } }
    }
}
