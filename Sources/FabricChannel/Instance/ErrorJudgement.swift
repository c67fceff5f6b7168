import FabricAPI
import HTTPTransfer
import Sessions
import SocketIO

/// What an error means to the one who has to decide what to do next.
extension FabricError {
    var operatorText: String { description }

    /// The guild does not take the token (401); a new one may do.
    var isRefusedToken: Bool { kind == .refused(status: 401) }

    /// Trying again will not help: the guild said no, and not because of the token.
    var isFinal: Bool {
        switch kind {
        case .refused(let status): status != 401
        case .rejected, .tooLarge: true
        case .passing, .unknownOutcome, .malformed, .cancelled, .local: false
        }
    }

    var isTooLarge: Bool {
        switch kind {
        case .tooLarge, .rejected(status: 413, code: _): true
        default: false
        }
    }
}

extension SessionError {
    var operatorText: String { description }

    var blockedReason: String? { kind == .blocked ? reason : nil }

    /// How long Sessions itself would wait before the next login.
    var retryDelay: Duration? { if case .unavailable(let retryIn) = kind { retryIn } else { nil } }
}

/// The text of an error for logs and status.
func operatorText(_ error: any Error) -> String {
    switch error {
    case let error as FabricError: error.operatorText
    case let error as SessionError: error.operatorText
    case let error as RequestProblem: "\(error.problem) (\(error.place)): \(error.remedy)"
    case is CancellationError: "cancelled"
    default: "\(error)"
    }
}

/// What a failed channel list says about the token it was asked with.
func listFailure(_ error: any Error) -> GuildFeed.ListFailure {
    if let error = error as? FabricError, error.isRefusedToken { return .refused(error.operatorText) }
    return .passing(operatorText(error))
}

/// What a failed upload, post or read-back means to the outbox.
func outboxFailure(_ error: any Error) -> Outbox.Failure {
    if let error = error as? FabricError {
        switch error.kind {
        case .passing(_, let retryAfter): return .passing(reason: error.operatorText, retryAfter: retryAfter)
        case .unknownOutcome, .malformed: return .unknownOutcome(reason: error.operatorText)
        // A file that cannot be read now will not be readable by itself.
        case .local: return .final(reason: error.operatorText)
        case .cancelled: return .passing(reason: error.operatorText, retryAfter: nil)
        case .refused, .rejected, .tooLarge:
            return error.isFinal
                ? .final(reason: error.operatorText) : .passing(reason: error.operatorText, retryAfter: nil)
        }
    }
    if let error = error as? SessionError {
        if case .guildMissing = error.kind { return .final(reason: error.operatorText) }
        return .passing(reason: error.operatorText, retryAfter: error.retryDelay)
    }
    if let error = error as? RequestProblem { return .final(reason: operatorText(error)) }
    return .passing(reason: operatorText(error), retryAfter: nil)
}

extension SocketIODisconnect {
    /// The guild may have dropped the socket because of its token: the next attempt needs another one.
    var suggestsRejectedToken: Bool {
        switch self {
        case .serverDisconnected, .refused: true
        default: false
        }
    }

    /// Of an attempt to connect: the guild did not get to it in time, or says that it cannot.
    var isOverload: Bool {
        switch self {
        case .timedOut(let phase): phase != .authentication && phase != .resolve
        case .transportFailed(_, let status): status.map { $0 == 429 || $0 >= 500 } ?? false
        default: false
        }
    }

    /// The guild cannot be reached: others who can tell that it is back are worth listening to.
    var isOutage: Bool {
        switch self {
        case .transportFailed, .transportClosed, .timedOut, .pingTimeout: true
        default: false
        }
    }
}
