/// Why a text is not the JSON value it should be, and where.
public struct JSONSyntaxError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public enum Reason: String, Sendable {
        case unexpectedEnd = "the text ends inside a value"
        case expectedValue = "a value should stand here"
        case expectedKey = "a key in double quotes should stand here"
        case expectedColon = "a colon should stand here"
        case expectedCommaOrEnd = "a comma or the closing bracket should stand here"
        case controlCharacter = "a control character stands unescaped in a string"
        case invalidEscape = "an escape sequence that JSON does not know"
        case invalidUTF8 = "bytes that are not UTF-8"
        case invalidNumber = "a number that JSON does not allow"
        case invalidLiteral = "a word other than true, false and null"
        case tooDeep = "more nested brackets than allowed"
        case trailingBytes = "something follows the value"
        case invalidOffset = "the start lies outside the text"
    }

    /// Distance in bytes from the beginning of the buffer to the offending byte.
    public var offset: Int
    public var reason: Reason

    /// An error at an offset, in bytes.
    public init(offset: Int, reason: Reason) {
        self.offset = offset
        self.reason = reason
    }

    /// What is wrong, and where.
    public var description: String { "byte \(offset): \(reason.rawValue)" }
}
