import CGatewaySystem
import Glibc

/// Accepts connections, also when the table of descriptors is full: one is kept in hand for that. While that one is in
/// use nothing more is accepted, so that a waiting client does not make the thread spin.
struct ControlDoor {
    /// How long to wait before the spare descriptor is asked for again.
    static let pause = Duration.milliseconds(250)

    private let listener: Int32
    private var spare: Int32

    init(listener: Int32) {
        self.listener = listener
        spare = Self.takeSpare()
    }

    /// Whether nothing is accepted at the moment.
    var isShut: Bool { spare < 0 }

    /// Asks for the spare descriptor if it is missing.
    /// - Returns: whether connections may be accepted.
    mutating func mayOpen() -> Bool {
        if spare < 0 { spare = Self.takeSpare() }
        return spare >= 0
    }

    /// The next connection, if there is one.
    mutating func accept() -> Int32? {
        var descriptor = gateway_accept(listener)
        if descriptor < 0, errno == EMFILE || errno == ENFILE, spare >= 0 {
            Glibc.close(spare)
            spare = -1
            descriptor = gateway_accept(listener)
        }
        return descriptor >= 0 ? descriptor : nil
    }

    mutating func close() {
        if spare >= 0 { Glibc.close(spare) }
        spare = -1
        Glibc.close(listener)
    }

    private static func takeSpare() -> Int32 { gateway_open("/dev/null", O_RDONLY, 0) }
}
