import Glibc

/// A secret text that does not show itself: not in messages, interpolation, dumps or mirrors.
public struct Secret: Sendable, Equatable {
    private let text: String

    public init(_ text: String) { self.text = text }

    /// The secret itself; for the one place that sends it.
    public func reveal() -> String { text }

    public var isEmpty: Bool { text.isEmpty }

    /// Enough to tell one secret from another: the first 8 characters, and never more than a third.
    public var hint: String { text.isEmpty ? "(empty)" : text.prefix(min(8, text.count / 3)) + "…" }
}

extension Secret {
    /// A text that is shown, such as a name, with whatever looks like an API key in it cut to its first characters: a key
    /// that was put into the wrong place by mistake.
    public static func masked(_ text: String) -> String {
        let mark = Array("fak_".utf8)
        let bytes = Array(text.utf8)
        guard bytes.count > mark.count else { return text }
        var result: [UInt8] = []
        var at = 0
        while at < bytes.count {
            guard bytes[at...].prefix(mark.count).elementsEqual(mark, by: { $0 | 0x20 == $1 | 0x20 }) else {
                result.append(bytes[at])
                at += 1
                continue
            }
            let end = bytes[at...].firstIndex { !isKeyByte($0) } ?? bytes.count
            let key = bytes[at..<end]
            // A word that only begins like one is none.
            guard key.count >= 12 else {
                result.append(contentsOf: key)
                at = end
                continue
            }
            result.append(contentsOf: key.prefix(min(8, key.count / 3)))
            result.append(contentsOf: "…".utf8)
            at = end
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func isKeyByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x2D, 0x2E, 0x2B, 0x2F, 0x3D: true
        default: byte >= 0x80
        }
    }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { hint }
    public var debugDescription: String { hint }
    public var customMirror: Mirror { Mirror(self, children: ["hint": hint]) }
}

/// Where a secret is to be found.
public enum SecretSource: Sendable, Equatable {
    /// Written in the file itself.
    case inline(Secret)
    /// In the environment variable of that name.
    case environment(String)
    /// In the file at that path, without the white space around it.
    case file(String)

    /// Where it is, without the secret: `inline`, `env NAME`, `file PATH`.
    public var name: String {
        switch self {
        case .inline: "inline"
        case .environment(let name): "env \(name)"
        case .file(let path): "file \(path)"
        }
    }

    /// Reads a secret written as a string, `{"env": "NAME"}` or `{"file": "path"}`. Anything else is a finding, and so
    /// is an empty one.
    /// - Parameter directory: what a relative path is relative to.
    public init?(_ node: SettingsNode, directory: String, findings: SettingsFindings) {
        let how = "Write the secret as a string, as {\"env\": \"NAME\"} or as {\"file\": \"path\"}"
        switch node.value {
        case .string(let text):
            guard text.contains(where: { !$0.isWhitespace }) else {
                findings.add(node, "it is empty", remedy: how)
                return nil
            }
            self = .inline(Secret(text))
        case .object:
            let section = SettingsSection(node, findings: findings)
            let before = findings.errors.count
            let variable = section.string("env")
            let path = section.string("file")
            section.finish()
            guard findings.errors.count == before else { return nil }
            switch (variable, path) {
            case (let variable?, nil):
                // Its name is printed in messages, so a key that was put there by mistake must not become one.
                guard !variable.hasPrefix("fak_"), variable.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x3D }) else {
                    findings.add(
                        node, "\"env\" holds what looks like a key, not the name of a variable",
                        remedy: "Write the variable's name there; put the key into that variable")
                    return nil
                }
                self = .environment(variable)
            case (nil, let path?):
                guard Secret.masked(path) == path else {
                    findings.add(
                        node, "\"file\" holds what looks like a key, not the path of a file",
                        remedy: "Write the file's path there; put the key into that file")
                    return nil
                }
                self = .file(FileText.resolve(path, in: directory))
            default:
                findings.add(node, "exactly one of \"env\" and \"file\" is wanted", remedy: how)
                return nil
            }
        default:
            findings.add(node, "this is \(node.value.kind), a secret is wanted", remedy: how)
            return nil
        }
    }

    /// Why a secret is not to be had.
    public struct Unavailable: Error, Sendable, Equatable, CustomStringConvertible {
        public var problem: String
        public var remedy: String
        public var description: String { "\(problem). \(remedy)" }

        public init(problem: String, remedy: String) {
            self.problem = problem
            self.remedy = remedy
        }
    }

    /// Fetches the secret now. It never looks in another place than the one it names.
    public func fetch() throws(Unavailable) -> Secret {
        switch self {
        case .inline(let secret): return secret
        case .environment(let name):
            let remedy = "Set \(name) for the process that runs the gateway"
            guard let value = getenv(name) else {
                throw Unavailable(problem: "the environment variable \(name) is not set", remedy: remedy)
            }
            let secret = Self.trimmed(String(cString: value))
            guard !secret.isEmpty else {
                throw Unavailable(problem: "the environment variable \(name) is empty", remedy: remedy)
            }
            return Secret(secret)
        case .file(let path):
            // A secret of more than 64 KiB is the wrong file.
            switch FileText.read(path, limit: 64 * 1024) {
            case .failure(let error): throw Unavailable(problem: "\(path): \(error.problem)", remedy: error.remedy)
            case .success(let bytes):
                let secret = Self.trimmed(String(decoding: bytes, as: UTF8.self))
                guard !secret.isEmpty else {
                    throw Unavailable(problem: "\(path): the file is empty", remedy: "Write the secret into it")
                }
                return Secret(secret)
            }
        }
    }

    private static func trimmed(_ text: String) -> String {
        var text = Substring(text)
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
