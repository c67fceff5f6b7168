/// A tree of values that is written down as JSON is: `["id": 7, "tags": ["a", "b"]]`.
///
/// An enumeration with these cases needs no more than to say so.
public protocol JSONLiterals: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
where
    BooleanLiteralType == Bool, IntegerLiteralType == Int64, FloatLiteralType == Double, StringLiteralType == String,
    ArrayLiteralElement == Self, Key == String, Value == Self
{
    /// `null`.
    static var null: Self { get }
    /// `true` or `false`.
    static func bool(_ value: Bool) -> Self
    /// A whole number.
    static func int(_ value: Int64) -> Self
    /// A number.
    static func double(_ value: Double) -> Self
    /// A text.
    static func string(_ value: String) -> Self
    /// Elements in their order.
    static func array(_ elements: [Self]) -> Self
    /// Members by name.
    static func object(_ members: [String: Self]) -> Self
}

extension JSONLiterals {
    /// `null`.
    public init(nilLiteral: ()) { self = .null }
    /// `true` or `false`.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// A whole number.
    public init(integerLiteral value: Int64) { self = .int(value) }
    /// A number.
    public init(floatLiteral value: Double) { self = .double(value) }
    /// A text.
    public init(stringLiteral value: String) { self = .string(value) }
    /// An array.
    public init(arrayLiteral elements: Self...) { self = .array(elements) }
    /// Of a key given twice the last value counts.
    public init(dictionaryLiteral elements: (String, Self)...) {
        self = .object(Dictionary(elements, uniquingKeysWith: { $1 }))
    }
}
