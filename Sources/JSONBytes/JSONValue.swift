/// An owned JSON tree, for paths where convenience counts for more than speed.
public enum JSONValue: Sendable, Equatable {
    /// `null`.
    case null
    /// `true` or `false`.
    case bool(Bool)
    /// A whole number that fits.
    case int(Int64)
    /// Any other number.
    case double(Double)
    /// A text.
    case string(String)
    /// Elements in their order.
    case array([JSONValue])
    /// Members by name; of several of one name the last.
    case object([String: JSONValue])

    /// Parses a text that holds one value and nothing else. Of a key given twice the last value counts.
    /// - Throws: ``JSONSyntaxError``; also for a number that no `Double` can hold.
    public init(parsing text: UnsafeRawBufferPointer, maximumDepth: Int = 64) throws(JSONSyntaxError) {
        try JSONBytes.validateWhole(text, maximumDepth: maximumDepth)
        self = try JSONValue(JSONView(validated: text, start: 0, end: text.count), in: text)
    }

    /// As ``init(parsing:maximumDepth:)-(UnsafeRawBufferPointer,_)``.
    public init(parsing text: [UInt8], maximumDepth: Int = 64) throws(JSONSyntaxError) {
        // The array's accessor does not pass typed errors on.
        let outcome = text.withUnsafeBytes { bytes -> Result<JSONValue, JSONSyntaxError> in
            Result { () throws(JSONSyntaxError) in try JSONValue(parsing: bytes, maximumDepth: maximumDepth) }
        }
        self = try outcome.get()
    }

    /// As ``init(parsing:maximumDepth:)-(UnsafeRawBufferPointer,_)``.
    public init(parsing text: String, maximumDepth: Int = 64) throws(JSONSyntaxError) {
        try self.init(parsing: Array(text.utf8), maximumDepth: maximumDepth)
    }

    /// A copy of a viewed value; numbers that no `Double` can hold become `null`.
    public init(_ view: JSONView) {
        switch view.kind {
        case .null: self = .null
        case .bool: self = view.bool.map { .bool($0) } ?? .null
        case .number: self = JSONValue(number: view) ?? .null
        case .string: self = .string(view.string ?? "")
        case .array:
            var elements: [JSONValue] = []
            view.forEachElement { element in
                elements.append(JSONValue(element))
                return true
            }
            self = .array(elements)
        case .object:
            var members: [String: JSONValue] = [:]
            view.forEachMember { key, value in
                members[key.string ?? ""] = JSONValue(value)
                return true
            }
            self = .object(members)
        }
    }

    private init(_ view: JSONView, in text: UnsafeRawBufferPointer) throws(JSONSyntaxError) {
        if let bad = JSONValue.firstUnholdable(view), let base = text.baseAddress, let place = bad.base {
            throw JSONSyntaxError(offset: place - base, reason: .invalidNumber)
        }
        self = JSONValue(view)
    }

    private static func firstUnholdable(_ view: JSONView) -> JSONView? {
        var bad: JSONView?
        switch view.kind {
        case .number: return JSONValue(number: view) == nil ? view : nil
        case .array:
            view.forEachElement { element in
                bad = firstUnholdable(element)
                return bad == nil
            }
        case .object:
            view.forEachMember { _, value in
                bad = firstUnholdable(value)
                return bad == nil
            }
        default: break
        }
        return bad
    }

    private init?(number view: JSONView) {
        let isWhole = !view.rawBytes.contains { $0 == 0x2E || $0 | 0x20 == 0x65 }
        if isWhole, let value = view.int64 {
            self = .int(value)
        } else if let value = view.double {
            self = .double(value)
        } else {
            return nil
        }
    }

    /// The tree as JSON text; members in the order of their names, so that equal trees give equal text.
    public var serialized: [UInt8] {
        var writer = JSONWriter()
        write(to: &writer)
        return writer.bytes
    }

    /// Writes the tree as the next value.
    public func write(to writer: inout JSONWriter) {
        switch self {
        case .null: writer.null()
        case .bool(let value): writer.bool(value)
        case .int(let value): writer.int(value)
        case .double(let value): writer.double(value)
        case .string(let value): writer.string(value)
        case .array(let elements):
            writer.beginArray()
            for element in elements { element.write(to: &writer) }
            writer.endArray()
        case .object(let members):
            writer.beginObject()
            for (name, value) in members.sorted(by: { $0.key < $1.key }) {
                writer.key(name)
                value.write(to: &writer)
            }
            writer.endObject()
        }
    }

    /// The member of that name, if this is an object that has it.
    public subscript(_ key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members[key]
    }

    /// The text, if this is a string.
    public var string: String? {
        guard case .string(let value) = self else { return nil }
        return value
    }

    /// The number, if this is a whole one, however it was written.
    public var int: Int64? {
        switch self {
        case .int(let value): value
        case .double(let value): Int64(exactly: value)
        default: nil
        }
    }

    /// The number, if this is one.
    public var double: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    /// The truth value, if this is one.
    public var bool: Bool? {
        guard case .bool(let value) = self else { return nil }
        return value
    }

    /// The elements, if this is an array.
    public var array: [JSONValue]? {
        guard case .array(let value) = self else { return nil }
        return value
    }

    /// The members, if this is an object.
    public var object: [String: JSONValue]? {
        guard case .object(let value) = self else { return nil }
        return value
    }
}

extension JSONValue: JSONLiterals {}
