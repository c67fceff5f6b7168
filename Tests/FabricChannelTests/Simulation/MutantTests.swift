import Foundation
import Testing

@testable import FabricChannel

/// That the simulation can fail: each mechanism is broken in turn, and the first seeds that notice it are printed. It takes
/// minutes: SIMULATE_MUTANTS=1 ./setup test --filter MutantTests
@Suite(.enabled(if: ProcessInfo.processInfo.environment["SIMULATE_MUTANTS"] != nil)) struct MutantTests {
    @Test(arguments: Mutant.allCases) func isCaught(_ mutant: Mutant) async {
        var caught: [UInt64] = []
        var next: UInt64 = 1
        // Some need a crash at the right moment.
        while caught.isEmpty, next < 6000 {
            let report = await Simulation.run(seeds: next...(next + 249), mutant: mutant)
            caught = report.failures.keys.sorted()
            next += 250
        }
        let seeds = caught.prefix(5).map(String.init).joined(separator: ", ")
        print("\(mutant.rawValue): noticed by \(caught.count) of \(next - 1) seeds, first \(seeds)")
        #expect(!caught.isEmpty)
    }
}
