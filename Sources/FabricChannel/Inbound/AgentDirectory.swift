/// The users that are known to be agents: those of the accounts that this instance runs, and those that the identity
/// file names. Kept as hashes, so that a look-up needs no string.
///
/// Confined to the realtime loop, which all accounts of an instance share.
// Unchecked: only code on the loop touches it.
final class AgentDirectory: @unchecked Sendable {
    /// Where those of this instance work.
    let turns = AgentTurns()
    /// A hash stands at its remainder or behind it; 0: nothing. Half of it is empty, so that looking ends soon. The standard
    /// library's set would hash the hash once more, for every message.
    @exclusivity(unchecked) private var table: [UInt64] = []
    private var count = 0

    func insert(_ id: String) {
        guard !id.isEmpty else { return }
        let hash = Array(id.utf8).withUnsafeBytes { byteHash($0) }
        guard !contains(hash) else { return }
        count += 1
        if count * 2 > table.count { grow() }
        put(hash)
    }

    @inline(__always)
    func contains(_ id: UnsafeRawBufferPointer?) -> Bool {
        guard !table.isEmpty, let id else { return false }
        return contains(byteHash(id))
    }

    @inline(__always)
    private func contains(_ hash: UInt64) -> Bool {
        guard !table.isEmpty else { return false }
        let mask = table.count &- 1
        var place = Int(truncatingIfNeeded: hash) & mask
        while table[place] != 0 {
            if table[place] == hash { return true }
            place = (place &+ 1) & mask
        }
        return false
    }

    private func grow() {
        let hashes = table
        table = [UInt64](repeating: 0, count: max(16, hashes.count * 2))
        for hash in hashes where hash != 0 { put(hash) }
    }

    private func put(_ hash: UInt64) {
        let mask = table.count - 1
        var place = Int(truncatingIfNeeded: hash) & mask
        while table[place] != 0 { place = (place + 1) & mask }
        table[place] = hash
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
