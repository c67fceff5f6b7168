import Glibc

/// Which addresses are the world's and which are one's own network's.
enum PublicAddress {
    /// False for loopback, private, link-local (where clouds keep their metadata), shared, multicast and reserved
    /// ranges of IPv4 and IPv6, and for what is no address.
    static func isPublic(_ text: String) -> Bool {
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 { return isPublic(v4: UInt32(bigEndian: four.s_addr)) }
        var six = in6_addr()
        // A scope, as in fe80::1%eth0, marks an address that is not public.
        guard inet_pton(AF_INET6, text, &six) == 1 else { return false }
        return withUnsafeBytes(of: &six) { bytes in
            let high = bytes.load(as: UInt64.self).bigEndian
            let low = bytes.load(fromByteOffset: 8, as: UInt64.self).bigEndian
            // IPv4 in IPv6's clothes: mapped, and by the well-known NAT64 prefix.
            if high == 0, low >> 32 == 0xFFFF { return isPublic(v4: UInt32(truncatingIfNeeded: low)) }
            if high == 0x0064_FF9B_0000_0000, low >> 32 == 0 { return isPublic(v4: UInt32(truncatingIfNeeded: low)) }
            // 2000::/3 is all that is given out; 2002::/16 (6to4) and 2001::/32 (Teredo) carry IPv4 inside.
            return high >> 61 == 1 && high >> 48 != 0x2002 && high >> 32 != 0x2001_0000
        }
    }

    private static func isPublic(v4 address: UInt32) -> Bool {
        // Base and prefix length, IANA's special-purpose registry.
        let reserved: [(UInt32, UInt32)] = [
            (0x0000_0000, 8), (0x0A00_0000, 8), (0x6440_0000, 10), (0x7F00_0000, 8), (0xA9FE_0000, 16),
            (0xAC10_0000, 12), (0xC000_0000, 24), (0xC000_0200, 24), (0xC0A8_0000, 16), (0xC612_0000, 15),
            (0xC633_6400, 24), (0xCB00_7100, 24), (0xE000_0000, 3),
        ]
        return !reserved.contains { base, length in (address ^ base) >> (32 - length) == 0 }
    }
}
