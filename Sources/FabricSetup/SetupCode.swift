/// How a setup command ends.
public enum SetupCode {
    /// Done; for `inspect`: it could tell.
    public static let good: Int32 = 0
    /// Center refused the key, or there is nothing of that name; for `doctor`: warnings.
    public static let refused: Int32 = 1
    /// The configuration or the command is wrong; for `doctor`: errors.
    public static let wrong: Int32 = 2
    /// Center cannot be reached or does not answer properly.
    public static let unreachable: Int32 = 3
}
