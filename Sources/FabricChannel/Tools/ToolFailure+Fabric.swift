import FabricAPI
import FabricTools
import Sessions

extension FabricError {
    /// The error with what helps who calls tools; a tool repeats nothing by itself.
    fileprivate func told(_ remedy: String) -> String {
        var copy = self
        copy.remedy = remedy
        return copy.operatorText
    }
}

extension ToolFailure {
    /// What an error of Center, a guild or a session means to the one who called.
    /// - Parameter reads: the tool changes nothing, so that repeating it does no harm.
    init(_ error: any Error, reads: Bool) {
        switch error {
        case let failure as ToolFailure: self = failure
        case let error as FabricError: self.init(fabric: error, reads: reads)
        case let error as SessionError:
            switch error.kind {
            case .guildMissing: self.init(.notMember, error.operatorText)
            case .blocked: self.init(.refused, error.operatorText)
            default: self.init(.unavailable, error.operatorText, isRetryable: true)
            }
        case is CancellationError: self = .stopped(reads: reads)
        default: self.init(.failed, operatorText(error))
        }
    }

    private init(fabric error: FabricError, reads: Bool) {
        let words = error.operatorText
        switch error.kind {
        case .refused(status: 403) where error.speaksOfMembership: self.init(.notMember, words)
        case .refused: self.init(.refused, words)
        case .passing: self.init(.unavailable, error.told("Try it again later."), isRetryable: true)
        case .unknownOutcome:
            self.init(.unknownOutcome, error.told("It may have taken effect: look before it is called again."))
        case .rejected(status: 404, _): self.init(.notFound, words)
        case .rejected(_, code: "channel_closed"): self.init(.channelClosed, words)
        case .rejected(status: 400, _), .rejected(status: 422, _): self.init(.invalidArgument, words)
        case .cancelled: self = .stopped(reads: reads)
        case .rejected, .tooLarge, .malformed, .local: self.init(.failed, words)
        }
    }

    /// The account stopped while the call was under way.
    static func stopped(reads: Bool) -> ToolFailure {
        ToolFailure(
            .unavailable,
            "the account was stopped while the call was under way" + (reads ? "" : "; it may have taken effect"),
            isRetryable: reads)
    }
}
