/// Makes a file name that came from the network safe to use inside one directory.
enum AttachmentName {
    /// Longest name kept, in bytes: ext4's 255 less room for a distinguishing prefix.
    static let maximumBytes = 200

    /// The last path part of `name` without control characters, direction marks and other invisible characters, bounded
    /// in length with its extension kept; never empty, never hidden, never `.` or `..`.
    static func safe(_ name: String?, fallback: String = "attachment") -> String {
        guard let name else { return fallback }
        let last = name.split(whereSeparator: { $0 == "/" || $0 == "\\" }).last.map(String.init) ?? ""
        var scalars = String.UnicodeScalarView()
        for scalar in last.unicodeScalars where isAllowed(scalar) {
            scalars.append(isReplaced(scalar) ? "_" : scalar)
        }
        var cleaned = String(scalars)
        while let first = cleaned.unicodeScalars.first, first == "." || first == " " || first == "-" {
            cleaned.unicodeScalars.removeFirst()
        }
        while let last = cleaned.unicodeScalars.last, last == "." || last == " " {
            cleaned.unicodeScalars.removeLast()
        }
        if cleaned.isEmpty { return fallback }
        return bounded(cleaned)
    }

    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        default: true
        }
    }

    /// Look-alikes of the path separators, and characters that other systems treat as separators.
    private static func isReplaced(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "\u{2044}", "\u{2215}", "\u{29F8}", "\u{FF0F}", "\u{FF3C}", "\u{29F9}", "\u{2216}", ":", "*", "?", "\"",
            "<", ">", "|":
            true
        default: false
        }
    }

    private static func bounded(_ name: String) -> String {
        guard name.utf8.count > maximumBytes else { return name }
        var suffix = ""
        if let dot = name.lastIndex(of: "."), name[dot...].utf8.count <= 20 { suffix = String(name[dot...]) }
        var stem = ""
        var bytes = suffix.utf8.count
        for character in name {
            bytes += character.utf8.count
            if bytes > maximumBytes { break }
            stem.append(character)
        }
        return stem.isEmpty ? "attachment" + suffix : stem + suffix
    }

    /// `name` or, if taken, the name with a number before its extension.
    static func unique(_ name: String, taken: Set<String>) -> String {
        // Some file systems fold case, so names that differ only in case count as the same.
        guard taken.contains(name.lowercased()) else { return name }
        let dot = name.lastIndex(of: ".") ?? name.endIndex
        for number in 2... {
            let candidate = "\(name[..<dot])-\(number)\(name[dot...])"
            if !taken.contains(candidate.lowercased()) { return candidate }
        }
        return name
    }
}
