import Glibc

/// A failed system call: what was being done, and the system's word for why.
public struct POSIXFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was being done, with the path or name it was done to.
    public var operation: String
    /// The `errno` value.
    public var code: Int32

    /// A failure with the present `errno`, or the one given.
    public init(operation: String, code: Int32 = errno) {
        self.operation = operation
        self.code = code
    }

    /// The operation and the system's words.
    public var description: String { "\(operation): \(String(cString: strerror(code)))" }
}
