import Foundation
import Synchronization

@testable import FabricChannel

/// Runs seeds, each a world of its own, on all processors.
enum Simulation {
    /// The next seed that nobody plays: they take very different times.
    private final class Seeds: Sendable {
        private let next: Atomic<UInt64>
        private let last: UInt64

        init(_ seeds: ClosedRange<UInt64>) {
            next = Atomic(seeds.lowerBound)
            last = seeds.upperBound
        }

        func take() -> UInt64? {
            let seed = next.wrappingAdd(1, ordering: .relaxed).oldValue
            return seed <= last ? seed : nil
        }
    }

    /// How many seeds the suite plays. A debug build is slow: `./setup test` plays the others in a release build.
    #if DEBUG
        static let seeds: UInt64 = 100
    #else
        static let seeds: UInt64 = 10000
    #endif

    struct Report: Sendable {
        var failures: [UInt64: [String]] = [:]
        var steps = 0
        var deliveries = 0
        var comparisons = 0
        /// How often each excuse was needed.
        var excused: [Excuse: Int] = [:]

        var text: String {
            failures.sorted { $0.key < $1.key }.prefix(10).map { seed, what in
                "seed \(seed) (./setup simulate --seed \(seed)):\n  " + what.prefix(3).joined(separator: "\n  ")
            }.joined(separator: "\n")
        }
    }

    static func run(
        seeds: ClosedRange<UInt64>, mutant: Mutant? = nil, without excuse: Excuse? = nil
    ) async -> Report {
        let waiting = Seeds(seeds)
        return await withTaskGroup(of: Report.self, returning: Report.self) { group in
            for _ in 0..<max(1, ProcessInfo.processInfo.activeProcessorCount) {
                group.addTask {
                    var report = Report()
                    while let seed = waiting.take() { report.add(one(seed, mutant: mutant, without: excuse)) }
                    return report
                }
            }
            return await group.reduce(into: Report()) { $0.add($1) }
        }
    }

    static func one(_ seed: UInt64, mutant: Mutant? = nil, without excuse: Excuse? = nil) -> Report {
        var plan = Plan(seed: seed, with: mutant)
        plan.without = excuse
        return one(plan, mutant)
    }

    /// The same course without the mutant.
    static func one(_ seed: UInt64, with faults: Set<Plan.Fault>) -> Report {
        var plan = Plan(seed: seed)
        plan.faults.formUnion(faults)
        return one(plan, nil)
    }

    private static func one(_ plan: Plan, _ mutant: Mutant?) -> Report {
        let world = World(plan: plan, mutant: mutant)
        world.play()
        defer { world.tearDown() }
        var report = Report()
        if !world.failures.isEmpty { report.failures[plan.seed] = world.failures }
        report.steps = world.schedule.steps
        report.deliveries = world.checks.deliveries
        report.comparisons = world.checks.comparisons
        report.excused = world.checks.excused
        return report
    }

    /// What happened under a seed, line by line.
    static func trace(_ seed: UInt64, mutant: Mutant? = nil, without excuse: Excuse? = nil) -> String {
        var plan = Plan(seed: seed, with: mutant)
        plan.without = excuse
        let world = World(plan: plan, mutant: mutant, isTracing: true)
        world.play()
        defer { world.tearDown() }
        return "\(world.plan)\n" + world.lines.joined(separator: "\n")
    }
}

extension Simulation {
    /// What `./setup simulate` was asked for.
    struct Wanted {
        var first: UInt64 = 1
        var count: UInt64 = 1
        /// After so many seconds it ends with what it has played.
        var seconds = Int64.max
        var mutant: Mutant?
        var without: Excuse?
    }

    /// Prints how it goes; false if a seed fails, whose trace is printed too.
    static func runAndPrint(_ wanted: Wanted) async -> Bool {
        let (first, count, mutant) = (wanted.first, wanted.count, wanted.mutant)
        let begun = ContinuousClock.now
        let last = first.addingReportingOverflow(count - 1).overflow ? UInt64.max : first + count - 1
        var next = first
        var all = Report()
        while true {
            let end = min(last, next.addingReportingOverflow(999).overflow ? last : next + 999)
            all.add(await run(seeds: next...end, mutant: mutant, without: wanted.without))
            let seconds = begun.duration(to: .now).components.seconds
            print(
                "seeds \(first) to \(end): \(all.failures.count) failed; \(all.steps) steps, \(all.deliveries) deliveries, "
                    + "\(all.comparisons) comparisons with the store, \(seconds) s")
            let failed = all.failures.keys.sorted().suffix(20).map(String.init).joined(separator: ", ")
            if !failed.isEmpty { print("failed: \(failed)") }
            fflush(nil)
            if end == last || all.failures.count >= 20 || seconds >= wanted.seconds { break }
            next = end + 1
        }
        let excused = all.excused.sorted { $0.key.rawValue < $1.key.rawValue }.map { "\($0.key) \($0.value)" }
        print("excuses needed: \(excused.isEmpty ? "none" : excused.joined(separator: ", "))")
        guard let seed = all.failures.keys.min() else { return true }
        print(trace(seed, mutant: mutant, without: wanted.without))
        print(all.text)
        return false
    }
}

extension Simulation.Report {
    mutating func add(_ other: Simulation.Report) {
        failures.merge(other.failures) { one, _ in one }
        steps += other.steps
        deliveries += other.deliveries
        comparisons += other.comparisons
        excused.merge(other.excused, uniquingKeysWith: +)
    }
}
