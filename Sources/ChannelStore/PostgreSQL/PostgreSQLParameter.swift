/// A value for a statement, in PostgreSQL's binary form.
struct PostgreSQLParameter {
    /// nil: null.
    let bytes: [UInt8]?

    static func int(_ value: Int64) -> PostgreSQLParameter {
        var bytes: [UInt8] = []
        bytes.appendBigEndian(value)
        return PostgreSQLParameter(bytes: bytes)
    }

    static func double(_ value: Double) -> PostgreSQLParameter { int(Int64(bitPattern: value.bitPattern)) }
    static func bool(_ value: Bool) -> PostgreSQLParameter { PostgreSQLParameter(bytes: [value ? 1 : 0]) }
    static func text(_ value: String) -> PostgreSQLParameter { PostgreSQLParameter(bytes: PlainText.bytes(value)) }
    static func data(_ value: [UInt8]) -> PostgreSQLParameter { PostgreSQLParameter(bytes: value) }
    static func array(_ value: PostgreSQLArray) -> PostgreSQLParameter { PostgreSQLParameter(bytes: value.bytes) }
}

/// A column of values for many rows.
struct PostgreSQLArray {
    enum Element: UInt32 {
        case bool = 16
        case bytea = 17
        case int8 = 20
        case text = 25
        case float8 = 701
    }

    private let element: Element
    private(set) var count: Int32 = 0
    private var hasNull = false
    private var body: [UInt8] = []

    init(_ element: Element) { self.element = element }

    init(_ values: some Sequence<Int64>) {
        self.init(.int8)
        for value in values { append(value) }
    }

    init(_ values: some Sequence<String>) {
        self.init(.text)
        for value in values { append(value) }
    }

    /// How much it takes.
    var size: Int { body.count }

    mutating func append(_ value: Int64?) {
        guard let value else { return appendNull() }
        count &+= 1
        body.appendBigEndian(Int32(8))
        body.appendBigEndian(value)
    }

    mutating func append(_ value: Double?) { append((value?.bitPattern).map { Int64(bitPattern: $0) }) }

    mutating func append(_ value: Bool) {
        count &+= 1
        body.appendBigEndian(Int32(1))
        body.append(value ? 1 : 0)
    }

    mutating func append(_ value: String?) {
        guard var value else { return appendNull() }
        let isPlain = value.withUTF8 { bytes in
            guard PlainText.isPlain(bytes), let length = Int32(exactly: bytes.count) else { return false }
            count &+= 1
            body.appendBigEndian(length)
            body.append(contentsOf: bytes)
            return true
        }
        if !isPlain { append(PlainText.bytes(value)) }
    }

    mutating func append(_ value: [UInt8]?) {
        // What is longer than 2 GB is refused by the server, which takes 1 GB at most.
        guard let value, let length = Int32(exactly: value.count) else { return appendNull() }
        count &+= 1
        body.appendBigEndian(length)
        body.append(contentsOf: value)
    }

    private mutating func appendNull() {
        hasNull = true
        count &+= 1
        body.appendBigEndian(Int32(-1))
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(body.count + 20)
        bytes.appendBigEndian(Int32(count == 0 ? 0 : 1))
        bytes.appendBigEndian(Int32(hasNull ? 1 : 0))
        bytes.appendBigEndian(Int32(bitPattern: element.rawValue))
        guard count > 0 else { return bytes }
        bytes.appendBigEndian(count)
        bytes.appendBigEndian(Int32(1))
        bytes.append(contentsOf: body)
        return bytes
    }
}

/// PostgreSQL's texts cannot hold U+0000. It is written as U+001A and a 0, and U+001A as itself and a 1.
enum PlainText {
    static func isPlain(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool { !bytes.contains { $0 == 0 || $0 == 0x1A } }

    static func bytes(_ text: String) -> [UInt8] {
        var text = text
        return text.withUTF8 { bytes in
            guard !isPlain(bytes) else { return Array(bytes) }
            var result: [UInt8] = []
            for byte in bytes {
                switch byte {
                case 0: result += [0x1A, 0x30]
                case 0x1A: result += [0x1A, 0x31]
                default: result.append(byte)
                }
            }
            return result
        }
    }

    static func text(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
        guard bytes.contains(0x1A) else { return String(decoding: bytes, as: UTF8.self) }
        var result: [UInt8] = []
        var isEscaped = false
        for byte in bytes {
            if isEscaped {
                result.append(byte == 0x30 ? 0 : 0x1A)
                isEscaped = false
            } else if byte == 0x1A {
                isEscaped = true
            } else {
                result.append(byte)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}

extension [UInt8] {
    fileprivate mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }
}
