import Testing

@testable import FabricChannel

/// That the simulation can fail: each mechanism is broken in turn, and the first seeds that notice it are printed.
@Suite struct MutantTests {
    @Test(arguments: Mutant.allCases) func isCaught(_ mutant: Mutant) async {
        #if DEBUG
            let step: UInt64 = 5
        #else
            let step: UInt64 = 20
        #endif
        var caught: [UInt64] = []
        var next: UInt64 = 1
        // Some need a crash at the right moment.
        while caught.isEmpty, next < 2000 {
            let report = await Simulation.run(seeds: next...(next + step - 1), mutant: mutant)
            caught = report.failures.keys.sorted()
            // That it is the mutant that was noticed, and nothing else.
            for seed in caught where !Simulation.one(seed, with: mutant.needs).failures.isEmpty {
                caught.removeAll { $0 == seed }
            }
            next += step
        }
        let seeds = caught.prefix(5).map(String.init).joined(separator: ", ")
        print("\(mutant.rawValue): noticed by \(caught.count) of \(next - 1) seeds, first \(seeds)")
        #expect(!caught.isEmpty)
    }
}
