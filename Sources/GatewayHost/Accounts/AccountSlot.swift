import JSONBytes

/// All that belongs to one account at run time, but for the supervisor's record of it, which is a value of its own and
/// decides: which instance of the module serves it, the gate before it, the run whose reports count, and the operations
/// that wait for each other.
struct AccountSlot: Sendable {
    /// A gate that is closed while the account moves: whoever has something for it waits those milliseconds instead of
    /// losing it.
    struct Gate: Sendable {
        /// Decided when the calls that were under way have returned.
        let idle = Once<Void>()
        let opened = Once<Void>()
    }

    /// Which run the reports of which instance speak of. A report of any other is late, and dropped at the door.
    struct Run: Sendable, Equatable {
        var generation: ModuleGeneration
        var number: UInt64
    }

    /// What `configure` said of it; nil for an account that the configuration does not know.
    var description: JSONValue?
    /// The instance that serves it; nil: the channel's present one.
    var module: PluginModule?
    /// Calls into the module for it that have not returned.
    var calls = 0
    var gate: Gate?
    /// Set just before the account is started on an instance, removed before it is stopped there.
    var run: Run?
    /// The newest report that nobody has looked at.
    var unread: JSONValue?
    /// The run to start once the old instance is gone, because that one did not let go of the account.
    var stranded: UInt64?
    /// The last of its operations; each waits for the one before.
    var last: Task<Void, Never>?
    /// Operations that are not over.
    var operations = 0

    /// Nothing would be lost with it.
    var isEmpty: Bool {
        description == nil && module == nil && calls == 0 && gate == nil && run == nil && unread == nil
            && stranded == nil && operations == 0
    }
}
