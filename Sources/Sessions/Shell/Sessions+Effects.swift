import FabricAPI

/// Carrying out what the cache decides.
extension Sessions {
    /// Lets `body` change the cache and carries out what follows. After ``shutdown()`` nothing follows.
    @discardableResult
    func change<T>(_ body: (inout SessionCache, ContinuousClock.Instant) -> T) -> T {
        let (result, aftermath) = state.withLock { state in
            let result = body(&state.cache, clock.now())
            return (result, apply(&state))
        }
        aftermath.carryOut()
        return result
    }

    func demand(_ agent: String, guild: String?) async -> Result<Session, SessionError> {
        let waiter = state.withLock { $0.cache.number() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (answer, aftermath) = state.withLock {
                    state -> (Result<Session, SessionError>?, Aftermath) in
                    if state.isShutDown {
                        let reason = "the session cache was shut down"
                        return (.failure(SessionError(kind: .ended, agent: agent, reason: reason)), Aftermath())
                    }
                    // A cancellation that came before this lock found nobody to resume; one that comes later will.
                    if Task.isCancelled {
                        let reason = "the task was cancelled"
                        return (.failure(SessionError(kind: .cancelled, agent: agent, reason: reason)), Aftermath())
                    }
                    switch state.cache.demand(agent, guild: guild, waiter: waiter, now: clock.now()) {
                    case .now(let result): return (result, apply(&state))
                    case .wait:
                        state.waiting[waiter] = continuation
                        return (nil, apply(&state))
                    }
                }
                aftermath.carryOut()
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            change { cache, now in cache.cancel(agent, waiter: waiter, now: now) }
        }
    }

    /// Runs under the lock, so that what is published and told keeps the order in which it was decided.
    func apply(_ state: inout State) -> Aftermath {
        var aftermath = Aftermath()
        for action in state.cache.takeActions() {
            switch action {
            case .resume(let waiter, let result):
                if let continuation = state.waiting.removeValue(forKey: waiter) {
                    aftermath.resumed.append((continuation, result))
                }
            case .publish(let agent, let tokens): quick.set(agent, tokens, clock)
            case .tell(let agent, let update):
                for listener in (state.listeners[agent] ?? [:]).values { listener.tell(update) }
            case .startLogin(let agent, let flight):
                if !state.isShutDown { state.tasks[flight] = loginTask(agent, flight) }
            case .cancelLogin(let flight):
                if let task = state.tasks[flight] { aftermath.cancelled.append(task) }
            }
        }
        if let next = state.cache.nextWake, !state.isShutDown { sleep(until: next, &state, &aftermath) }
        return aftermath
    }

    private func loginTask(_ agent: String, _ flight: UInt64) -> Task<Void, Never> {
        Task { [self] in
            do {
                let fabric = try await login(agent)
                let session = Session(
                    agent: agent, fabric: fabric, now: clock.now(), wall: clock.wall(), configuration: configuration)
                finish(flight) { cache, now in
                    cache.loginSucceeded(agent, flight: flight, session: session, now: now)
                }
            } catch {
                let failure = LoginFailure(error)
                finish(flight) { cache, now in
                    cache.loginFailed(agent, flight: flight, failure: failure, now: now)
                }
            }
        }
    }

    private func finish(_ flight: UInt64, _ body: (inout SessionCache, ContinuousClock.Instant) -> Void) {
        let aftermath = state.withLock { state in
            state.tasks[flight] = nil
            if !state.isShutDown { body(&state.cache, clock.now()) }
            return apply(&state)
        }
        aftermath.carryOut()
    }

    /// One sleeper for all alarms. It is replaced only by an earlier one: waking for nothing costs less than a new
    /// task.
    private func sleep(until time: ContinuousClock.Instant, _ state: inout State, _ aftermath: inout Aftermath) {
        if let sleeper = state.sleeper {
            guard time < sleeper.until else { return }
            if let task = state.tasks[sleeper.number] { aftermath.cancelled.append(task) }
        }
        let number = state.cache.number()
        state.sleeper = (number, time)
        // The sleeper must not keep the cache alive that nobody else holds.
        state.tasks[number] = Task { [weak self, sleep = clock.sleep] in
            try? await sleep(time)
            self?.woke(number)
        }
    }

    private func woke(_ number: UInt64) {
        let aftermath = state.withLock { state in
            state.tasks[number] = nil
            guard state.sleeper?.number == number, !state.isShutDown else { return Aftermath() }
            state.sleeper = nil
            state.cache.wake(clock.now())
            return apply(&state)
        }
        aftermath.carryOut()
    }
}
