import Foundation
import Testing

@testable import FabricChannel

/// That the simulation can fail: each mechanism is broken in turn, and a seed is found that notices it and holds without it.
/// `./setup simulate --mutants --seeds N` plays N seeds with each and prints which notice it: a table.
@Suite struct MutantTests {
    private static let seeds = ProcessInfo.processInfo.environment["SIMULATE_MUTANTS"].flatMap { UInt64($0) }

    @Test(arguments: Mutant.allCases) func isCaught(_ mutant: Mutant) async {
        // The table begins at the first seed; the suite where one is known, and looks a little further should that be another
        // course by now.
        var next: UInt64 = Self.seeds == nil ? mutant.knownSeed : 1
        let last = Self.seeds ?? mutant.knownSeed + 200
        let step = Self.seeds ?? 2
        let first = next
        var caught: [UInt64] = []
        while caught.isEmpty, next <= last {
            let report = await Simulation.run(seeds: next...(next + step - 1), mutant: mutant)
            // That it is the mutant that was noticed, and nothing else.
            caught = report.failures.keys.sorted().filter {
                Simulation.one($0, with: mutant.needs).failures.isEmpty
            }
            next += step
        }
        let seeds = caught.prefix(5).map(String.init).joined(separator: ", ")
        print("| \(mutant.rawValue) | \(caught.count) of \(next - first) | \(seeds) |")
        fflush(nil)
        #expect(!caught.isEmpty)
    }
}
