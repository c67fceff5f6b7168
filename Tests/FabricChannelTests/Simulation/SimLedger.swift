@testable import GatewayHost

/// The ledger of the gateway that is part of this repository, for a host in virtual time.
struct SimLedger {
    enum Verdict {
        case run, underWay, finished
        case resend(String)
    }

    private var ledger = TurnLedger()

    mutating func arrived(_ id: String) -> Verdict {
        switch ledger.arrived(id) {
        case .run: .run
        case .underWay: .underWay
        case .finished: .finished
        case .resend(let reply): .resend(reply.text)
        }
    }

    mutating func sending(_ id: String, _ text: String) { ledger.sending(id, AgentReply(text: text)) }
    mutating func finish(_ id: String) -> Bool { ledger.finish(id) }
    mutating func notSent(_ id: String) -> String? { ledger.notSent(id)?.text }
}
