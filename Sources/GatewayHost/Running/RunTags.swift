import JSONBytes
import Locking

/// Which run of an account an instance's reports speak of at this moment. Set just before the account is started
/// there, removed before it is stopped: a report that comes without a tag is late, and dropped at the door.
final class RunTags: Sendable {
    private struct Key: Hashable {
        var generation: ModuleGeneration
        var account: String
    }

    private let state = Locked<[Key: UInt64]>([:])

    func set(_ account: String, on generation: ModuleGeneration, run: UInt64) {
        state.withLock { $0[Key(generation: generation, account: account)] = run }
    }

    func remove(_ account: String, on generation: ModuleGeneration) {
        state.withLock { _ = $0.removeValue(forKey: Key(generation: generation, account: account)) }
    }

    func run(of account: String, on generation: ModuleGeneration) -> UInt64? {
        state.withLock { $0[Key(generation: generation, account: account)] }
    }
}

/// The newest report of each account that the runtime has not looked at. Bounded by the number of accounts, however
/// fast the module reports.
final class ReportBox: Sendable {
    struct Report: Sendable {
        var account: String
        var run: UInt64
        var status: JSONValue
    }

    private let state = Locked<[String: Report]>([:])
    let signals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation

    init() { (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    func put(_ report: Report) {
        state.withLock { $0[report.account] = report }
        signal.yield()
    }

    func take() -> [Report] {
        state.withLock { reports in
            defer { reports = [:] }
            return Array(reports.values)
        }
    }

    func end() { signal.finish() }
}

/// The callbacks of all instances of one channel.
final class ChannelEvents: ModuleEvents {
    let router: Router
    let tags: RunTags
    let reports: ReportBox
    private let moduleLog: ModuleLog

    init(router: Router, tags: RunTags, reports: ReportBox, moduleLog: ModuleLog) {
        self.router = router
        self.tags = tags
        self.reports = reports
        self.moduleLog = moduleLog
    }

    func deliver(_ delivery: [UInt8], from module: ModuleGeneration) -> DeliveryAnswer { router.deliver(delivery) }

    func accountChanged(_ status: [UInt8], from module: ModuleGeneration) {
        guard let tree = JSONValue.parsed(status), let account = tree["accountId"]?.text,
            let run = tags.run(of: account, on: module)
        else { return }
        reports.put(ReportBox.Report(account: account, run: run, status: tree))
    }

    func log(level: Int32, record: [UInt8], from module: ModuleGeneration) {
        moduleLog.write(level: level, record: record, generation: module)
    }
}
