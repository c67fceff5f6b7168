import Settings

/// Tells one way to log in (a key's value and Center's address) from another without keeping the key. Good within one
/// process only: the hash is seeded anew in each.
public struct CredentialFingerprint: Sendable, Hashable {
    private let hash: Int

    /// - Parameters:
    ///   - key: the key itself, wherever it stands.
    ///   - center: Center's base address.
    public init(key: Secret, center: String) {
        var hasher = Hasher()
        hasher.combine(key.reveal())
        hasher.combine(center)
        hash = hasher.finalize()
    }
}
