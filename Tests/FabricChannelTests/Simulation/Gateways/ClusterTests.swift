import Foundation
import Testing

@testable import FabricChannel

/// Plays courses of gateways that share their accounts, each seed a world of its own.
enum ClusterSimulation {
    /// As many as take a few seconds; `./setup simulate --gateways` plays more.
    static let seeds: UInt64 = 300

    struct Report: Sendable {
        var failures: [UInt64: [String]] = [:]
        var steps = 0
        var starts = 0
        var posts = 0

        mutating func add(_ other: Report) {
            failures.merge(other.failures) { one, _ in one }
            steps += other.steps
            starts += other.starts
            posts += other.posts
        }

        var text: String {
            failures.sorted { $0.key < $1.key }.prefix(10).map { seed, what in
                "seed \(seed) (./setup simulate --gateways --seed \(seed)):\n  "
                    + what.prefix(3).joined(separator: "\n  ")
            }.joined(separator: "\n")
        }
    }

    static func one(_ seed: UInt64, mutant: ClusterMutant? = nil) -> Report {
        one(ClusterPlan(seed: seed, with: mutant), mutant).report
    }

    /// The same course without the mutant.
    static func control(_ seed: UInt64, of mutant: ClusterMutant) -> Report {
        one(ClusterPlan(seed: seed, with: mutant), nil).report
    }

    private static func one(
        _ plan: ClusterPlan, _ mutant: ClusterMutant?, isTracing: Bool = false
    ) -> (report: Report, lines: [String]) {
        let world = ClusterWorld(plan: plan, mutant: mutant, isTracing: isTracing)
        world.play()
        defer { world.tearDown() }
        var report = Report()
        if !world.failures.isEmpty { report.failures[plan.seed] = world.failures }
        report.steps = world.schedule.steps
        report.starts = world.checks.starts
        report.posts = world.checks.posts
        return (report, world.lines)
    }

    static func trace(_ seed: UInt64, mutant: ClusterMutant? = nil) -> String {
        let plan = ClusterPlan(seed: seed, with: mutant)
        return "\(plan)\n" + one(plan, mutant, isTracing: true).lines.joined(separator: "\n")
    }

    static func run(seeds: ClosedRange<UInt64>, mutant: ClusterMutant? = nil) async -> Report {
        let workers = UInt64(max(1, ProcessInfo.processInfo.activeProcessorCount))
        return await withTaskGroup(of: Report.self, returning: Report.self) { group in
            for worker in 0..<workers {
                group.addTask {
                    var report = Report()
                    for seed in seeds where seed % workers == worker { report.add(one(seed, mutant: mutant)) }
                    return report
                }
            }
            return await group.reduce(into: Report()) { $0.add($1) }
        }
    }

    /// Prints how it goes; false if a seed fails, whose trace is printed too.
    /// - Parameter limit: after so many seconds it ends with what it has played.
    static func runAndPrint(first: UInt64, count: UInt64, limit: Int64, mutant: ClusterMutant?) async -> Bool {
        let begun = ContinuousClock.now
        let last = first.addingReportingOverflow(count - 1).overflow ? UInt64.max : first + count - 1
        var next = first
        var all = Report()
        while true {
            let end = min(last, next.addingReportingOverflow(999).overflow ? last : next + 999)
            all.add(await run(seeds: next...end, mutant: mutant))
            let seconds = begun.duration(to: .now).components.seconds
            print(
                "gateways, seeds \(first) to \(end): \(all.failures.count) failed; \(all.steps) steps, \(all.starts) starts, "
                    + "\(all.posts) posts, \(seconds) s")
            let failed = all.failures.keys.sorted()
            if !failed.isEmpty { print("failed: \(failed.suffix(20).map(String.init).joined(separator: ", "))") }
            fflush(nil)
            if end == last || seconds >= limit {
                print("\(end - first + 1) of \(count) courses played, \(failed.count) failed")
                break
            }
            next = end + 1
        }
        guard let seed = all.failures.keys.min() else { return true }
        print(trace(seed, mutant: mutant))
        print(all.text)
        return false
    }
}

@Suite struct ClusterTests {
    @Test func everySeedHolds() async {
        let report = await ClusterSimulation.run(seeds: 1...ClusterSimulation.seeds)
        #expect(report.failures.isEmpty, "\(report.text)")
    }

    /// Each mechanism is broken in turn, and a seed is found that notices it and holds without it.
    @Test(arguments: ClusterMutant.allCases) func isCaught(_ mutant: ClusterMutant) async {
        var caught: UInt64?
        for seed in UInt64(1)...2000 {
            guard !ClusterSimulation.one(seed, mutant: mutant).failures.isEmpty,
                ClusterSimulation.control(seed, of: mutant).failures.isEmpty
            else { continue }
            caught = seed
            break
        }
        print("| \(mutant.rawValue) | caught by seed \(caught.map(String.init) ?? "none") |")
        #expect(caught != nil)
    }

    /// What `./setup simulate --gateways` runs.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["SIMULATE_GATEWAYS"] != nil))
    func theClustersAskedFor() async throws {
        let environment = ProcessInfo.processInfo.environment
        let first = environment["SIMULATE_SEED"].flatMap { UInt64($0) } ?? 1
        let count = environment["SIMULATE_SEEDS"].flatMap { UInt64($0) } ?? 1
        let mutant = try environment["SIMULATE_MUTANT"].map { try #require(ClusterMutant(rawValue: $0)) }
        let limit = environment["SIMULATE_SECONDS"].flatMap { Int64($0) } ?? .max
        #expect(
            await ClusterSimulation.runAndPrint(first: first, count: max(1, count), limit: limit, mutant: mutant))
    }
}
