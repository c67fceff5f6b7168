/// Events that came before the namespace accepted, kept for a moment.
struct EarlyPackets {
    // A server that sends more than this before it accepts us is not going to accept us.
    private static let most = 256
    private static let mostBytes = 1 << 20

    private var packets: [OwnedPacket] = []
    private var bytes = 0

    /// False: there are too many.
    mutating func add(_ packet: OwnedPacket) -> Bool {
        bytes += packet.text.count + packet.attachments.reduce(0) { $0 + $1.count }
        guard packets.count < Self.most, bytes <= Self.mostBytes else { return false }
        packets.append(packet)
        return true
    }

    mutating func add(text: UnsafeRawBufferPointer, _ limits: PacketDecoder.Limits) -> Bool {
        guard let header = try? SocketHeader(text, limits: limits) else { return true }
        return add(OwnedPacket(header: header, text: Array(text)))
    }

    mutating func take() -> [OwnedPacket] {
        defer { self = EarlyPackets() }
        return packets
    }
}
