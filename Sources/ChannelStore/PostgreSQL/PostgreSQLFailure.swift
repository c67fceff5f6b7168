import CPostgreSQL

/// Why the database did not do something.
struct PostgreSQLFailure: Error, Equatable {
    /// What to do about it.
    enum Kind: Equatable {
        /// There is no connection, or it broke.
        case connection
        /// Nothing came in time.
        case timeout
        case password
        case rights
        case noDatabase
        case readOnly
        case full
        case tooMany
        /// Somebody else has what is needed; later.
        case locked
        /// Whoever wrote has no right to the accounts any more.
        case fence
        /// What belongs to a row is not there any more.
        case orphan
        /// The tables are not there.
        case noTables
        /// Another program's tables, or those of a later version of this one.
        case foreign
        case settings
        case other
    }

    var kind: Kind
    /// PostgreSQL's code; empty where it was not the server that refused.
    var state = ""
    var problem: String
    /// Set where `kind` does not tell what the operator can do.
    var advice: String?
    /// Which of the statements failed.
    var index = 0

    init(_ kind: Kind, state: String = "", problem: String, advice: String? = nil) {
        self.kind = kind
        self.state = state
        self.problem = problem
        self.advice = advice
    }

    /// What a server said.
    init(state: String, message: String) {
        self.init(Self.kind(of: state), state: state, problem: state.isEmpty ? message : "\(message) (\(state))")
    }

    private static func kind(of state: String) -> Kind {
        switch state {
        case "", "57P01", "57P02", "57P03", "57P05", "25P03": return .connection
        case "57014": return .timeout
        case "42501": return .rights
        case "3D000": return .noDatabase
        case "25006": return .readOnly
        case "53100", "53200": return .full
        case "53300": return .tooMany
        case "55P03", "40P01", "40001": return .locked
        case "22012": return .fence
        case "23503": return .orphan
        case "42P01", "3F000": return .noTables
        default: break
        }
        if state.hasPrefix("08") { return .connection }
        if state.hasPrefix("28") { return .password }
        return .other
    }

    /// Libraries tell of a failed connection in words only.
    static func connecting(_ message: String) -> PostgreSQLFailure {
        let kinds: [(String, Kind)] = [
            ("password authentication failed", .password), ("no password supplied", .password),
            ("authentication failed", .password), ("no pg_hba.conf entry", .password), ("role \"", .password),
            ("database \"", .noDatabase), ("too many clients", .tooMany), ("remaining connection slots", .tooMany),
            ("session is read-only", .readOnly), ("server is in hot standby mode", .readOnly),
            ("certificate", .settings), ("SSL", .settings),
        ]
        let kind = kinds.first { message.contains($0.0) }?.1 ?? .connection
        var failure = PostgreSQLFailure(kind, problem: message)
        if kind == .settings {
            failure.advice =
                "the server must speak TLS with a certificate for the host's name; name its authority in "
                + "certificateAuthorityFile if it is your own"
        }
        return failure
    }

    /// What the operator can do about it.
    func remedy(_ settings: PostgreSQLSettings) -> String {
        if let advice { return advice }
        switch kind {
        case .connection: return "start the database, or correct its address; what waits is written when it answers"
        case .timeout: return "look at the database's load and locks (pg_stat_activity)"
        case .password: return "correct user and password of the address, or the database's pg_hba.conf"
        case .rights:
            return
                "give the user its schema: CREATE SCHEMA \(settings.schema) AUTHORIZATION its name; the tables in it "
                + "must be its own"
        case .noDatabase: return "create the database, or correct its name in the address"
        case .readOnly:
            return "the server is a replica or is set read-only: name the primary, or all servers with a comma between"
        case .full: return "free space on the disk of the database, or give it memory"
        case .tooMany: return "raise max_connections of the database: a gateway takes three"
        case .locked, .fence, .orphan: return "nothing: it is tried again"
        case .noTables: return "nothing: the tables are made again; what was in them is gone"
        case .foreign, .settings, .other: return "look at the database's log"
        }
    }

    func error(_ settings: PostgreSQLSettings) -> StoreError {
        var error = StoreError(problem, path: settings.description, remedy: remedy(settings))
        switch kind {
        case .connection, .timeout, .locked: break
        default: error.isRefusal = true
        }
        return error
    }
}
