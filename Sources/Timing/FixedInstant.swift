/// Keeps an instant in a layout that is known when the program is compiled.
///
/// `ContinuousClock.Instant` belongs to a library whose types may change: a value that has one inside has its members at
/// places which are looked up while the program runs, for every access to any of them.
@propertyWrapper
public struct FixedInstant: Sendable, Equatable {
    // Any instant serves; it is the same for all of a process.
    private static let origin = ContinuousClock.now

    private var sinceOrigin: Duration?

    public init(wrappedValue: ContinuousClock.Instant?) {
        sinceOrigin = wrappedValue.map { Self.origin.duration(to: $0) }
    }

    /// The instant; nil: there is none.
    public var wrappedValue: ContinuousClock.Instant? {
        get { sinceOrigin.map { Self.origin.advanced(by: $0) } }
        set { sinceOrigin = newValue.map { Self.origin.duration(to: $0) } }
    }
}
