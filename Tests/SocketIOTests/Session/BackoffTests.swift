import Testing

@testable import SocketIO

struct BackoffTests {
    @Test func growsToTheCapAndStaysSpread() {
        let configuration = SocketIOBackoff.Configuration()
        for (failures, longest) in [
            (0, 1.0), (1, 2), (2, 4), (3, 8), (4, 16), (5, 32), (6, 60), (7, 60), (1_000_000, 60),
        ] {
            let most = SocketIOBackoff.delay(after: failures, configuration, random: 0)
            let least = SocketIOBackoff.delay(after: failures, configuration, random: 1)
            #expect(abs(most / .seconds(1) - longest) < 1e-9)
            #expect(abs(least / .seconds(1) - longest / 2) < 1e-9)
        }
        var backoff = SocketIOBackoff()
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2000 { _ = backoff.failed(using: &random) }
        let late = Set((0..<100).map { _ in backoff.failed(using: &random) })
        #expect(late.count > 90)
        #expect(late.allSatisfy { $0 >= .seconds(30) && $0 <= .seconds(60) })
        backoff.reset()
        #expect(backoff.failed(using: &random) <= .seconds(1))
    }

    @Test func absurdSettingsAreHarmless() {
        var configuration = SocketIOBackoff.Configuration()
        configuration.initial = .seconds(-5)
        configuration.multiplier = -3
        configuration.maximum = .zero
        configuration.jitter = 9
        let delay = SocketIOBackoff.delay(after: .max, configuration, random: 1)
        #expect(delay > .zero && delay < .seconds(1))
    }
}
