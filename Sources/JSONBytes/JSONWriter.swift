/// Appends JSON text to a byte array that can be used again and again. Commas and colons are its business; that
/// brackets match and that every key gets a value is the caller's.
public struct JSONWriter {
    /// What has been written.
    public var bytes: [UInt8]
    private var needsComma = false

    /// - Parameter capacity: bytes to reserve.
    public init(capacity: Int = 0) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    /// Empties it, keeping the memory if asked to.
    public mutating func removeAll(keepingCapacity: Bool = true) {
        bytes.removeAll(keepingCapacity: keepingCapacity)
        needsComma = false
    }

    /// Opens an object.
    public mutating func beginObject() { open(0x7B) }
    /// Closes an object.
    public mutating func endObject() { close(0x7D) }
    /// Opens an array.
    public mutating func beginArray() { open(0x5B) }
    /// Closes an array.
    public mutating func endArray() { close(0x5D) }

    /// Writes the name of the member whose value is written next.
    public mutating func key(_ name: StaticString) {
        separate()
        if name.hasPointerRepresentation {
            quoted(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        } else {
            name.withUTF8Buffer { quoted(UnsafeRawBufferPointer($0)) }
        }
        bytes.append(0x3A)
        needsComma = false
    }

    /// As ``key(_:)-(StaticString)``, for names known only at run time.
    @_disfavoredOverload
    public mutating func key(_ name: String) {
        separate()
        var name = name
        name.withUTF8 { quoted(UnsafeRawBufferPointer($0)) }
        bytes.append(0x3A)
        needsComma = false
    }

    /// Writes a string.
    public mutating func string(_ text: String) {
        separate()
        var text = text
        text.withUTF8 { quoted(UnsafeRawBufferPointer($0)) }
        needsComma = true
    }

    /// Writes a value that is JSON text already, for instance ``JSONView/rawBytes``; it is not checked.
    public mutating func raw(_ value: UnsafeRawBufferPointer) {
        separate()
        bytes.append(contentsOf: value)
        needsComma = true
    }

    /// As ``raw(_:)-(UnsafeRawBufferPointer)``.
    public mutating func raw(_ value: [UInt8]) {
        separate()
        bytes.append(contentsOf: value)
        needsComma = true
    }

    /// Writes a whole number.
    public mutating func int(_ value: some BinaryInteger) { word(String(value)) }

    /// Writes a number; infinity and not-a-number, which JSON lacks, become `null`.
    public mutating func double(_ value: Double) { word(value.isFinite ? value.description : "null") }

    /// Writes `true` or `false`.
    public mutating func bool(_ value: Bool) { word(value ? "true" : "false") }

    /// Writes `null`.
    public mutating func null() { word("null") }

    private mutating func separate() {
        if needsComma { bytes.append(0x2C) }
    }

    private mutating func open(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func word(_ text: String) {
        separate()
        bytes.append(contentsOf: text.utf8)
        needsComma = true
    }

    private mutating func quoted(_ text: UnsafeRawBufferPointer) {
        bytes.append(0x22)
        if let base = text.baseAddress {
            var at = 0
            while at < text.count {
                let stop = ByteScan.firstToEscape(base, at, text.count)
                bytes.append(contentsOf: UnsafeRawBufferPointer(start: base + at, count: stop - at))
                if stop < text.count { escape(ByteScan.byte(base, stop)) }
                at = stop + 1
            }
        }
        bytes.append(0x22)
    }

    private mutating func escape(_ byte: UInt8) {
        bytes.append(0x5C)
        switch byte {
        case 0x22, 0x5C: bytes.append(byte)
        case 0x08: bytes.append(0x62)
        case 0x0C: bytes.append(0x66)
        case 0x0A: bytes.append(0x6E)
        case 0x0D: bytes.append(0x72)
        case 0x09: bytes.append(0x74)
        default:
            bytes.append(contentsOf: [0x75, 0x30, 0x30, byte >> 4 + 0x30])
            let low = byte & 0x0F
            bytes.append(low < 10 ? low + 0x30 : low + 0x57)
        }
    }
}
