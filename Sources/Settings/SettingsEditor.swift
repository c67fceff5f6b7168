import JSONBytes

/// Small changes to a configuration that people write: everything else in the file, comments too, stays as it is.
public enum SettingsEditor {
    /// Puts a member at the beginning of an object.
    /// - Parameters:
    ///   - path: the names that lead to the object; objects that are missing on the way are made.
    ///   - value: JSON text.
    /// - Returns: the new text; nil if the text is no JSON, something on the way is no object, or the member is there.
    public static func insert(_ name: String, _ value: String, at path: [String], in text: [UInt8]) -> [UInt8]? {
        guard let plain = SettingsDocument.withoutComments(text) else { return nil }
        return plain.withUnsafeBytes { bytes -> [UInt8]? in
            guard (try? JSONBytes.validateWhole(bytes)) != nil else { return nil }
            var place = JSONView(validated: bytes, start: 0, end: bytes.count)
            guard place.kind == .object else { return nil }
            for (depth, step) in path.enumerated() {
                guard let next = place[step] else {
                    let inner = path[(depth + 1)...].reversed().reduce("{ \(quoted(name)): \(value) }") {
                        "{ \(quoted($1)): \($0) }"
                    }
                    return put(step, inner, into: place, bytes, text)
                }
                guard next.kind == .object else { return nil }
                place = next
            }
            guard place[name] == nil else { return nil }
            return put(name, value, into: place, bytes, text)
        }
    }

    private static func put(
        _ name: String, _ value: String, into object: JSONView, _ plain: UnsafeRawBufferPointer, _ text: [UInt8]
    ) -> [UInt8]? {
        guard let start = object.rawBytes.baseAddress, let base = plain.baseAddress,
            let brace = plain[(start - base)...].firstIndex(of: UInt8(ascii: "{"))
        else { return nil }
        var isEmpty = true
        object.forEachMember { _, _ in
            isEmpty = false
            return false
        }
        let member = "\(quoted(name)): \(value)\(isEmpty ? "" : ",")"
        let added = indentation(after: brace, text).map { "\n\($0)\(member)" } ?? " \(member)\(isEmpty ? " " : "")"
        var result = text
        result.insert(contentsOf: added.utf8, at: brace + 1)
        return result
    }

    /// What the next line begins with, if the brace ends its line; nil: what follows stands beside it.
    private static func indentation(after brace: Int, _ text: [UInt8]) -> String? {
        guard let end = text[(brace + 1)...].firstIndex(where: { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }),
            text[end] == 0x0A
        else { return nil }
        let line = text[(end + 1)...].prefix { $0 == 0x20 || $0 == 0x09 }
        return String(decoding: line, as: UTF8.self)
    }

    private static func quoted(_ name: String) -> String {
        String(decoding: JSONValue.string(name).serialized, as: UTF8.self)
    }
}
