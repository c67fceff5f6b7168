import CLibWebSocketsShims
import Glibc
import JSONBytes
import Locking
import Synchronization
import Threads

/// One thread running libwebsockets for any number of clients; the serial executor of everything
/// that touches sockets.
///
/// The thread starts with the loop and ends with ``shutdown()``; until then the loop keeps itself
/// alive. Signals are blocked on it.
///
/// **After shutdown** nothing of the loop runs, with one exception that Swift demands: a job that
/// Swift concurrency still enqueues (a task that was waiting elsewhere and now returns to an actor
/// of this loop) must run, or its task would hang for ever. Such jobs run in order, one at a time,
/// on a thread that lives only until they are done. Actors of a loop that was shut down only
/// report that they are finished.
public final class RealtimeLoop: SerialExecutor, Sendable {
    /// How the loop is built.
    public struct Configuration: Sendable {
        /// Name of the thread, at most 15 bytes (the kernel's limit; the rest is cut off).
        public var threadName = "realtime"
        /// Size of a read, shared by all sockets of the loop; a message that lies in it whole is handed on without
        /// copying. Bytes, 4 KiB to 16 MiB.
        public var receiveBufferBytes = 64 * 1024
        /// Names being looked up at the same time; each look-up has a thread of its own.
        public var maximumLookups = 4
        /// Whether the library's own log lines are switched off. The switch is process-wide.
        public var silencesLibraryLog = true

        public init() {}
    }

    /// The library could not be set up; says what the operator can look at.
    public struct SetupError: Error, CustomStringConvertible, Sendable {
        public let description: String
    }

    let configuration: Configuration
    let queue = Locked(LoopQueue())
    private let thread = Locked<NamedThread?>(nil)
    let current = Atomic<UInt>(0)
    private let identifiers = Atomic<UInt64>(0)
    // Only code on the loop's thread uses it; `isOnLoop` guards the ways in.
    nonisolated(unsafe) var state: LoopState?
    /// Where the members of the packet in hand are noted. Only code on the loop's thread uses it, too.
    nonisolated(unsafe) let memberNotes = JSONNotes()
    /// Counts what reads the clock anew, so that hundreds of messages of one read note their time once. The same.
    @exclusivity(unchecked) nonisolated(unsafe) var turnNumber: UInt64 = 1

    /// Starts the thread.
    /// - Throws: ``SetupError`` if libwebsockets or the thread cannot be set up (usually: no more file
    ///   descriptors or memory).
    public init(configuration: Configuration = .init()) throws {
        self.configuration = configuration
        var options = clws_options()
        options.silences_log = configuration.silencesLibraryLog ? 1 : 0
        options.keeps_tls = 1
        let owner = Unmanaged.passUnretained(self).toOpaque()
        guard let library = clws_loop_create(&options, Self.handlers, owner) else {
            throw SetupError(
                description: "libwebsockets cannot start; check the limit of open files (ulimit -n) and memory")
        }
        let resolver = Resolver(maximumLookups: configuration.maximumLookups)
        state = LoopState(
            library: library, resolver: resolver,
            receiveBufferBytes: min(max(4096, configuration.receiveBufferBytes), 16 << 20))
        resolver.loop = self
        do {
            let started = try NamedThread(configuration.threadName) { self.run() }
            thread.withLock { $0 = started }
        } catch {
            clws_loop_destroy(library)
            state = nil
            throw SetupError(description: "no thread for the realtime loop; check the limit of processes (ulimit -u)")
        }
    }

    deinit { memberNotes.deallocate() }

    /// The loop's own state; only for code on the loop. nil after the end.
    var confined: LoopState? { state }

    /// Whether the caller runs on the loop.
    public nonisolated var isOnLoop: Bool {
        current.load(ordering: .relaxed) == UInt(pthread_self())
    }

    /// Part of `SerialExecutor`: lets `assumeIsolated` work inside the loop's callbacks.
    public func isIsolatingCurrentContext() -> Bool? { isOnLoop }

    /// Part of `SerialExecutor`.
    public func enqueue(_ job: consuming ExecutorJob) { submit(.job(UnownedJob(job))) }

    /// Part of `SerialExecutor`.
    public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    /// Runs `body` on the loop, in the order of the calls, soon. From any thread, also from the loop.
    public func execute(_ body: @escaping @Sendable () -> Void) { submit(.body(body)) }

    /// Runs `body` on the loop once `delay` has passed. From any thread. Timers die with the loop.
    @discardableResult
    public func schedule(after delay: Duration, _ body: @escaping @Sendable () -> Void) -> LoopTimer {
        let id = newIdentifier()
        let deadline = ContinuousClock.now.advanced(by: delay)
        if isOnLoop {
            addTimer(id, at: deadline, body)
        } else {
            submit(.body { self.addTimer(id, at: deadline, body) }, evenAfterwards: false)
        }
        return LoopTimer(id: id, loop: self)
    }

    /// Runs `body` once, after the present batch of frames and before the loop sleeps.
    /// On the loop only; elsewhere it is the same as ``execute(_:)``.
    public func onTurnEnd(_ body: @escaping @Sendable () -> Void) {
        guard isOnLoop else { return execute(body) }
        confined?.turnEnds.append(body)
        ensureTurn()
    }

    /// A WebSocket on this loop, not yet open; to be made and used on the loop only.
    public func makeWebSocket(_ request: WebSocketRequest, handler: any WebSocketHandler) -> any WebSocketTransport {
        WebSocket(request: request, loop: self, handler: handler)
    }

    /// Closes all connections (their clients are told), ends the thread and waits for its end.
    /// After that nothing of the loop runs. From any other thread, as often as one likes; from the
    /// loop itself it only asks for the end and does not wait.
    public func shutdown() {
        queue.withLock { queue in
            if queue.stop() == .wake { wake() }
        }
        guard !isOnLoop else { return }
        thread.withLock { thread in
            guard let joined = thread else { return }
            joined.join()
            thread = nil
        }
    }

    /// Adds a timer from code on the loop; the closure need not be sendable.
    func addTimer(_ id: UInt64, at deadline: ContinuousClock.Instant, _ body: @escaping () -> Void) {
        confined?.timers.add(id, at: deadline, body)
        ensureTurn()
    }

    /// Sees to it that the loop does not sleep before it has looked at its queue, timers and turn ends.
    /// The library runs timers of its own right before it sleeps, so even its callbacks need this.
    func ensureTurn() {
        queue.withLock { queue in
            if queue.wakeOnce() { wake() }
        }
    }

    func newIdentifier() -> UInt64 { identifiers.wrappingAdd(1, ordering: .relaxed).newValue }

    /// - Parameter evenAfterwards: whether the work is still of use when the loop has ended.
    func submit(_ work: LoopWork, evenAfterwards: Bool = true) {
        let mustDrain = queue.withLock { queue in
            guard evenAfterwards || queue.mode != .finished else { return false }
            switch queue.add(work) {
            case .none: return false
            case .wake:
                // Under the lock, so that the library's context cannot be gone; it is one write to an
                // event descriptor.
                wake()
                return false
            case .drain: return true
            }
        }
        guard mustDrain else { return }
        do {
            try NamedThread.detached(configuration.threadName) { self.drainAfterwards() }
        } catch {
            drainAfterwards()
        }
    }

    func wake() {
        guard let state else { return }
        clws_loop_wake(state.library)
    }
}
