import CLibWebSocketsShims
import Glibc

// The loop's thread: turns, and the end.
extension RealtimeLoop {
    func run() {
        current.store(UInt(pthread_self()), ordering: .relaxed)
        guard let state else { return }
        while settle(state) {
            if clws_loop_service(state.library) < 0 { break }
            queue.withLock { $0.isAwake = true }
        }
        close(state)
    }

    /// The library's own timer fired, inside its service call: it would wait for sockets next, so
    /// everything that is due must happen here.
    func timerFired() {
        guard let state else { return }
        queue.withLock { $0.isAwake = true }
        // The library sleeps next; if the loop is to stop it must not.
        if !settle(state) { wake() }
    }

    /// Sockets can be read or written; inside the library's service call, which returns afterwards.
    func linksReady() {
        guard let state else { return }
        // Nobody need wake a loop that is about to look.
        queue.withLock { $0.isAwake = true }
        forgetTime(state)
        var number: UInt64 = 0
        var mayRead: Int32 = 0
        var mayWrite: Int32 = 0
        while clws_loop_next_ready(state.library, &number, &mayRead, &mayWrite) == 1 {
            // One that ended meanwhile, for what another one did, is not there any more.
            state.sockets[number]?.ready(mayRead: mayRead != 0, mayWrite: mayWrite != 0)
        }
    }

    /// Runs everything that is due, until there is nothing; then the loop may sleep until the next
    /// timer. False: the loop is to stop.
    private func settle(_ state: LoopState) -> Bool {
        // Tasks that keep each other busy must not keep the sockets waiting.
        for _ in 0..<16 {
            turn(state)
            arm(state)
            let (stops, sleeps) = queue.withLock { queue in
                let isDone = state.unread.isEmpty && state.retired.isEmpty
                if queue.isEmpty, !queue.isStopping, isDone { queue.isAwake = false }
                return (queue.isStopping, !queue.isAwake)
            }
            if stops { return false }
            if sleeps { return true }
        }
        wake()
        return true
    }

    private func turn(_ state: LoopState) {
        if !state.retired.isEmpty { state.letGo() }
        forgetTime(state)
        runTurnEnds(state)
        queue.withLock { $0.take(&state.batch) }
        // Taken out while it runs, so that work which leads back here finds an empty one.
        var batch = state.batch
        state.batch = []
        run(&batch)
        state.batch = batch
        let now = state.now
        while let body = state.timers.popDue(now) { body() }
        let unread = state.unread
        state.unread = []
        for number in unread { state.sockets[number]?.read() }
        runTurnEnds(state)
        flush(state)
        forgetTime(state)
    }

    private func run(_ batch: inout [LoopWork]) {
        for work in batch {
            switch work {
            case .job(let job): job.runSynchronously(on: asUnownedSerialExecutor())
            case .body(let body): body()
            }
        }
        batch.removeAll(keepingCapacity: true)
    }

    private func forgetTime(_ state: LoopState) {
        state.forgetTime()
        turnNumber &+= 1
    }

    private func runTurnEnds(_ state: LoopState) {
        while !state.turnEnds.isEmpty {
            let bodies = state.turnEnds
            state.turnEnds = []
            for body in bodies { body() }
        }
    }

    private func flush(_ state: LoopState) {
        while !state.toFlush.isEmpty {
            let sockets = state.toFlush
            state.toFlush = []
            for socket in sockets { socket.flush() }
        }
    }

    private func arm(_ state: LoopState) {
        var microseconds: Int64 = -1
        if let deadline = state.timers.next() {
            let wait = ContinuousClock.now.duration(to: deadline)
            // Rounded up to the milliseconds poll counts in, or the last one would be spent spinning.
            let parts = wait.components
            let exact = parts.seconds.multipliedReportingOverflow(by: 1_000_000)
            let rest = parts.attoseconds / 1_000_000_000_000
            microseconds = exact.overflow ? 3_600_000_000 : max(0, exact.partialValue + rest + 999)
        }
        clws_loop_set_timer(state.library, microseconds)
    }

    private func close(_ state: LoopState) {
        turn(state)
        // Work that waited may still start a client.
        while !state.closers.isEmpty || queue.withLock({ !$0.isEmpty }) {
            let closers = state.closers
            state.closers = [:]
            for closer in closers.values { closer() }
            turn(state)
        }
        queue.withLock { $0.mode = .closing }
        state.resolver.abandonAll()
        for socket in state.sockets.values { socket.abort() }
        state.toFlush = []
        clws_loop_destroy(state.library)
        // Taken out before they go: what goes with them may call the loop.
        var timers = TimerHeap<() -> Void>()
        swap(&timers, &state.timers)
        timers.removeAll()
        var turnEnds: [() -> Void] = []
        swap(&turnEnds, &state.turnEnds)
        turnEnds = []
        state.sockets = [:]
        state.unread = []
        self.state = nil
        var batch: [LoopWork] = []
        while true {
            let isDone = queue.withLock { queue in
                queue.take(&batch)
                guard batch.isEmpty else { return false }
                queue.mode = .finished
                return true
            }
            if isDone { break }
            run(&batch)
        }
        current.store(0, ordering: .relaxed)
    }

    /// Runs what was enqueued after the end; one thread at a time.
    func drainAfterwards() {
        current.store(UInt(pthread_self()), ordering: .relaxed)
        var batch: [LoopWork] = []
        while true {
            let isDone = queue.withLock { queue in
                queue.take(&batch)
                guard batch.isEmpty else { return false }
                current.store(0, ordering: .relaxed)
                queue.isDraining = false
                return true
            }
            if isDone { return }
            run(&batch)
        }
    }
}
