import Foundation
import Testing

@testable import FabricChannel

@Suite struct SimulationTests {
    @Test func everySeedHolds() async {
        let report = await Simulation.run(seeds: 1...Simulation.seeds)
        #expect(report.failures.isEmpty, "\(report.text)")
    }

    /// What `./setup simulate` runs: the seeds it was asked for, with progress, and the trace of the first that fails.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["SIMULATE_SEEDS"] != nil))
    func theSeedsAskedFor() async throws {
        let environment = ProcessInfo.processInfo.environment
        var wanted = Simulation.Wanted()
        wanted.first = environment["SIMULATE_SEED"].flatMap { UInt64($0) } ?? 1
        wanted.count = max(1, environment["SIMULATE_SEEDS"].flatMap { UInt64($0) } ?? 1)
        wanted.seconds = environment["SIMULATE_SECONDS"].flatMap { Int64($0) } ?? .max
        wanted.mutant = try environment["SIMULATE_MUTANT"].map { try #require(Mutant(rawValue: $0)) }
        wanted.without = try environment["SIMULATE_WITHOUT"].map { try #require(Excuse(rawValue: $0)) }
        #expect(await Simulation.runAndPrint(wanted))
    }
}
