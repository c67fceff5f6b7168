import Foundation
import Testing

@testable import FabricChannel

/// That the simulation can fail: each mechanism is broken in turn, and a seed is found that notices it and holds without it.
/// SIMULATE_MUTANTS=N plays N seeds with each and prints which notice it: a table.
@Suite struct MutantTests {
    private static let seeds = ProcessInfo.processInfo.environment["SIMULATE_MUTANTS"].flatMap { UInt64($0) }

    @Test(arguments: Mutant.allCases) func isCaught(_ mutant: Mutant) async {
        // Some need a crash at the right moment: what a suite has time for is enough for most, and the table for all.
        let last = Self.seeds ?? 2000
        let step = Self.seeds ?? 5
        var caught: [UInt64] = []
        var next: UInt64 = 1
        while caught.isEmpty, next <= last {
            let report = await Simulation.run(seeds: next...(next + step - 1), mutant: mutant)
            // That it is the mutant that was noticed, and nothing else.
            caught = report.failures.keys.sorted().filter {
                Simulation.one($0, with: mutant.needs).failures.isEmpty
            }
            next += step
        }
        let first = caught.prefix(5).map(String.init).joined(separator: ", ")
        print("| \(mutant.rawValue) | \(caught.count) of \(next - 1) | \(first) |")
        #expect(!caught.isEmpty)
    }
}
