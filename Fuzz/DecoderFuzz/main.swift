// libFuzzer's entry for the packet decoder; built and run by Fuzz/run.
//
// The input is a conversation: each message has a byte of flags (1: binary), two bytes of length (little endian),
// and that many bytes; a length beyond the end means the rest.

import JSONBytes

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: start, count: count)
    var limits = PacketDecoder.Limits()
    limits.maximumPacketBytes = 4096
    limits.maximumAttachments = 8
    var decoder = PacketDecoder(limits: limits)
    var at = 0
    while at < count {
        let isBinary = input[at] & 1 == 1
        let announced = at + 2 < count ? Int(input[at + 1]) | Int(input[at + 2]) << 8 : 0
        let from = min(at + 3, count)
        let to = min(from + announced, count)
        // A copy of exactly this size, so that the address sanitizer sees every byte read beyond.
        let message = [UInt8](input[from..<to])
        message.withUnsafeBytes { bytes in
            judgeTwice(bytes)
            if isBinary {
                if let packet = try? decoder.decode(binary: bytes) { packet.withView { look($0) } }
            } else if let packet = try? decoder.decode(text: bytes), case .message(let view) = packet {
                look(view)
            }
        }
        at = max(to, at + 3)
    }
    return 0
}

/// The validation that is told its text is UTF-8 must find what the other one finds, if it is; if it is not, it must not trap.
private func judgeTwice(_ bytes: UnsafeRawBufferPointer) {
    func end(isUTF8: Bool) -> Int? { try? JSONBytes.validate(bytes, from: 0, isUTF8: isUTF8) }
    let known = end(isUTF8: true)
    precondition(known.map { $0 <= bytes.count } ?? true)
    if String(validating: bytes, as: UTF8.self) != nil { precondition(known == end(isUTF8: false)) }
    // With notes the same is found, and they say what a walk finds.
    let notes = JSONNotes()
    defer { notes.deallocate() }
    var second: Range<Int>?
    var count = 0
    let noted = try? JSONBytes.validate(bytes, from: 0, maximumDepth: 64, notes: notes) { start, end, _ in
        if count == 1 { second = start..<end }
        count += 1
    }
    precondition(noted == end(isUTF8: false))
    guard noted != nil, let second, let members = notes.members(in: bytes) else { return }
    var walked: [[UInt8]] = []
    JSONView(validated: bytes, start: second.lowerBound, end: second.upperBound).forEachMember { key, value in
        walked += [Array(key.rawBytes), Array(value.rawBytes)]
        return true
    }
    var found: [[UInt8]] = []
    members.forEachMember { key, value in
        found += [Array(key.rawBytes), Array(value.rawBytes)]
        if key.isPlain { precondition(!key.rawBytes.contains(0x5C)) }
        if value.isPlain { precondition(!value.rawBytes.contains(0x5C)) }
        return true
    }
    precondition(found == walked)
}

/// Touches everything a packet offers; what was accepted must hold what it promises.
private func look(_ packet: SocketPacketView) {
    precondition(packet.namespace.isEmpty || String(validating: packet.namespace, as: UTF8.self) != nil)
    guard let payload = packet.payload else { return }
    precondition((try? JSONBytes.validateWhole(payload.rawBytes)) != nil)
    _ = try? JSONValue(parsing: payload.rawBytes)
    var count = 0
    payload.forEachElement { element in
        let same = packet.elements.element(count, of: payload, in: packet.text)
        precondition(same?.rawBytes.elementsEqual(element.rawBytes) == true)
        count += 1
        _ = element.string
        _ = element.double
        if element.kind == .object, element.isPlaceholder, !packet.attachments.isEmpty {
            precondition(packet.attachments.indices.contains(element.placeholderNumber ?? -1))
        }
        return true
    }
    precondition(payload.kind != .array || count == packet.elements.count)
    if packet.kind == .event {
        let name = packet.elements.first(in: packet.text)
        precondition(name?.kind == .string || name?.kind == .number)
        precondition(name.map { SocketHeader.isReserved($0) } == false)
    }
}
