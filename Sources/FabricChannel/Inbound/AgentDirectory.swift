/// The users that are known to be agents: those of the accounts that this instance runs, and those that the identity
/// file names. Kept as hashes, so that a look-up needs no string.
///
/// Confined to the realtime loop, which all accounts of an instance share.
// Unchecked: only code on the loop touches it.
final class AgentDirectory: @unchecked Sendable {
    private var hashes: Set<UInt64> = []

    func insert(_ id: String) {
        if !id.isEmpty { hashes.insert(Array(id.utf8).withUnsafeBytes { byteHash($0) }) }
    }

    @inline(__always)
    func contains(_ id: UnsafeRawBufferPointer?) -> Bool {
        guard !hashes.isEmpty, let id else { return false }
        return hashes.contains(byteHash(id))
    }
}

/// 64 bits that tell ids apart: eight bytes at a time, multiplied and folded; never 0.
@inline(__always)
func byteHash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    guard let base = bytes.baseAddress else { return 1 }
    var hash: UInt64 = 0x9E37_79B9_7F4A_7C15 ^ UInt64(truncatingIfNeeded: bytes.count)
    var at = 0
    while at &+ 8 <= bytes.count {
        hash = fold(hash ^ (base + at).loadUnaligned(as: UInt64.self))
        at &+= 8
    }
    while at < bytes.count {
        hash = fold(hash ^ UInt64(base.load(fromByteOffset: at, as: UInt8.self)))
        at &+= 1
    }
    return hash == 0 ? 1 : hash
}

@inline(__always)
private func fold(_ value: UInt64) -> UInt64 {
    let product = value.multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
    return product.high ^ product.low
}

/// Whether two runs of bytes are the same.
@inline(__always)
func same(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count else { return false }
    guard let x = a.baseAddress, let y = b.baseAddress else { return true }
    var at = 0
    while at &+ 8 <= a.count {
        if (x + at).loadUnaligned(as: UInt64.self) != (y + at).loadUnaligned(as: UInt64.self) { return false }
        at &+= 8
    }
    while at < a.count {
        if x.load(fromByteOffset: at, as: UInt8.self) != y.load(fromByteOffset: at, as: UInt8.self) { return false }
        at &+= 1
    }
    return true
}
