import JSONBytes

/// What stands in front of a Socket.IO packet's data, and where the data lies; checked.
struct SocketHeader: Sendable {
    var kind: SocketPacketKind
    var attachments = 0
    private var namespaceStart = 0
    private var namespaceEnd = 0
    private var id: UInt64 = 0
    private var hasID = false
    private var payloadStart = 0
    private var payloadEnd = 0
    private(set) var elements = PayloadElements()

    /// Longest namespace taken; the bound other implementations use. Bytes.
    static let maximumNamespaceBytes = 512

    /// Reads a message frame: `4`, type, attachments, namespace, id, JSON.
    /// - Parameters:
    ///   - isUTF8: whether that is known already.
    ///   - notes: where the members of the first argument are noted.
    @inline(__always)
    init(
        _ bytes: UnsafeRawBufferPointer, limits: PacketDecoder.Limits, isUTF8: Bool = false,
        notes: JSONNotes? = nil
    ) throws(PacketError) {
        guard bytes.count >= 2 else { throw .empty }
        var at = 2
        let type = bytes[1]
        var isBinary = false
        switch type {
        case 0x30: kind = .connect
        case 0x31: kind = .disconnect
        case 0x32: kind = .event
        case 0x33: kind = .acknowledgement
        case 0x34: kind = .connectError
        case 0x35:
            kind = .event
            isBinary = true
        case 0x36:
            kind = .acknowledgement
            isBinary = true
        default: throw .unknownType(type)
        }
        if isBinary { try readAttachments(bytes, &at, limits) }
        if at < bytes.count, bytes[at] == 0x2F { try readNamespace(bytes, &at) }
        try readID(bytes, &at)
        payloadStart = at
        guard at < bytes.count else {
            payloadEnd = at
            // The official decoder takes packets without data, except binary ones.
            guard !isBinary else { throw .illegalPayload(kind) }
            return
        }
        try readPayload(bytes, limits, isUTF8, notes)
        if isBinary { try checkPlaceholders(bytes) }
    }

    /// The packet over the bytes it was read from (or a copy of them).
    /// - Parameter notes: what was noted when it was read; nil where that is gone.
    @inline(__always)
    func view(
        of bytes: UnsafeRawBufferPointer, attachments: UnsafePointer<[[UInt8]]>?, notes: JSONNotes? = nil
    ) -> SocketPacketView {
        SocketPacketView(
            kind: kind,
            namespace: namespaceEnd > namespaceStart
                ? UnsafeRawBufferPointer(rebasing: bytes[namespaceStart..<namespaceEnd])
                : UnsafeRawBufferPointer(start: nil, count: 0),
            id: hasID ? id : nil,
            payload: payloadEnd > payloadStart
                ? JSONView(exactly: UnsafeRawBufferPointer(rebasing: bytes[payloadStart..<payloadEnd])) : nil,
            elements: elements, members: payloadEnd > payloadStart ? notes?.members(in: bytes) : nil, text: bytes,
            attached: attachments)
    }

    private mutating func readAttachments(
        _ bytes: UnsafeRawBufferPointer, _ at: inout Int, _ limits: PacketDecoder.Limits
    ) throws(PacketError) {
        let start = at
        var count = 0
        while at < bytes.count, bytes[at] &- 0x30 < 10 {
            // Kept just above the limit, whatever the number of digits.
            count = min(count * 10 + Int(bytes[at] - 0x30), limits.maximumAttachments + 1)
            at += 1
        }
        guard at > start, at < bytes.count, bytes[at] == 0x2D else { throw .illegalAttachmentCount }
        at += 1
        guard count <= limits.maximumAttachments else { throw .tooManyAttachments(limit: limits.maximumAttachments) }
        attachments = count
    }

    private mutating func readNamespace(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) throws(PacketError) {
        namespaceStart = at
        while at < bytes.count, bytes[at] != 0x2C {
            at += 1
            guard at - namespaceStart <= Self.maximumNamespaceBytes else { throw .illegalNamespace }
        }
        namespaceEnd = at
        if at < bytes.count { at += 1 }
        let name = bytes[namespaceStart..<namespaceEnd]
        guard name.allSatisfy({ $0 < 0x80 }) || String(validating: name, as: UTF8.self) != nil else {
            throw .illegalNamespace
        }
        // `/` spelled out is the main namespace.
        if namespaceEnd - namespaceStart == 1 { namespaceEnd = namespaceStart }
    }

    @inline(__always)
    private mutating func readID(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) throws(PacketError) {
        while at < bytes.count, bytes[at] &- 0x30 < 10 {
            let (tenfold, overflows) = id.multipliedReportingOverflow(by: 10)
            let (sum, carries) = tenfold.addingReportingOverflow(UInt64(bytes[at] &- 0x30))
            guard !overflows, !carries else { throw .identifierOutOfRange }
            id = sum
            hasID = true
            at += 1
        }
    }

    @inline(__always)
    private mutating func readPayload(
        _ bytes: UnsafeRawBufferPointer, _ limits: PacketDecoder.Limits, _ isUTF8: Bool, _ notes: JSONNotes?
    ) throws(PacketError) {
        // The kinds begin with these bytes only: `[`, `{`, `"`. This also refuses leading white space.
        let first = bytes[payloadStart]
        switch kind {
        case .event, .acknowledgement: guard first == 0x5B else { throw .illegalPayload(kind) }
        case .connect: guard first == 0x7B else { throw .illegalPayload(kind) }
        case .connectError: guard first == 0x7B || first == 0x22 else { throw .illegalPayload(kind) }
        case .disconnect: throw .illegalPayload(kind)
        }
        var elements = PayloadElements()
        do {
            payloadEnd = try JSONBytes.validate(
                bytes, from: payloadStart, maximumDepth: limits.maximumDepth, isUTF8: isUTF8, notes: notes
            ) {
                elements.add($0, $1, $2)
            }
        } catch {
            throw .invalidJSON(error)
        }
        self.elements = elements
        try requireOnlySpace(bytes, from: payloadEnd)
        if kind == .event { try checkName(bytes, limits) }
    }

    @inline(__always)
    private func checkName(_ bytes: UnsafeRawBufferPointer, _ limits: PacketDecoder.Limits) throws(PacketError) {
        guard let name = elements.first(in: bytes) else { throw .illegalPayload(.event) }
        guard let text = name.stringBytes else {
            guard name.kind == .number else { throw .illegalPayload(.event) }
            return
        }
        guard text.count <= limits.maximumEventNameBytes else {
            throw .eventNameTooLong(limit: limits.maximumEventNameBytes)
        }
        // All reserved names begin with one of c, d, n, r; an escape may hide any letter.
        switch text.first {
        case 0x63, 0x64, 0x6E, 0x72, 0x5C:
            if Self.isReserved(name) { throw .reservedEventName }
        default: return
        }
    }

    static func isReserved(_ name: JSONView) -> Bool {
        name.equals("connect") || name.equals("connect_error") || name.equals("disconnect")
            || name.equals("disconnecting") || name.equals("newListener") || name.equals("removeListener")
    }

    private func checkPlaceholders(_ bytes: UnsafeRawBufferPointer) throws(PacketError) {
        let payload = JSONView(validated: bytes, start: payloadStart, end: payloadEnd)
        guard Self.placeholdersFit(payload, attachments) else { throw .illegalPlaceholder }
    }

    /// Recursion is bounded by the depth that validation allowed.
    private static func placeholdersFit(_ value: JSONView, _ attachments: Int) -> Bool {
        var fits = true
        switch value.kind {
        case .array:
            value.forEachElement { element in
                fits = placeholdersFit(element, attachments)
                return fits
            }
        case .object:
            if value.isPlaceholder {
                guard let number = value.placeholderNumber else { return false }
                return number < attachments
            }
            value.forEachMember { _, member in
                fits = placeholdersFit(member, attachments)
                return fits
            }
        default: break
        }
        return fits
    }
}

extension JSONView {
    /// Whether this object stands for a binary attachment.
    var isPlaceholder: Bool {
        var marked = false
        forEachMember { key, value in
            // The last of several equal keys counts, as in JavaScript.
            if key.equals("_placeholder") { marked = value.bool == true }
            return true
        }
        return marked
    }

    /// The number of the attachment this object stands for; nil if there is no whole number.
    public var placeholderNumber: Int? {
        var number: Int?
        forEachMember { key, value in
            if key.equals("num") { number = value.int64.flatMap { $0 >= 0 ? Int(exactly: $0) : nil } }
            return true
        }
        return number
    }
}
