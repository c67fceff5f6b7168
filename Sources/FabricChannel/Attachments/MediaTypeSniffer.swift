/// Tells what a file is from its first bytes (WHATWG MIME Sniffing, the types agents meet); what a sender claims is only
/// a hint.
enum MediaTypeSniffer {
    /// How many bytes `sniff` looks at.
    static let bytesNeeded = 512

    /// The media type of content that begins with `head`. The claim is used where the bytes do not tell, but never to
    /// call something an image that is none.
    static func sniff(_ head: [UInt8], claimed: String?) -> String {
        if let known = signature(head) { return refine(known, claimed: claimed) }
        let looksLikeText = !head.isEmpty && isText(head)
        if let claimed = normalized(claimed), claimed != "application/octet-stream" {
            let family = claimed.prefix { $0 != "/" }
            if family == "image" && claimed != "image/svg+xml" { return looksLikeText ? "text/plain" : octets }
            if family == "text" && !looksLikeText { return octets }
            return claimed
        }
        return looksLikeText ? "text/plain" : octets
    }

    private static let octets = "application/octet-stream"

    private static func signature(_ b: [UInt8]) -> String? {
        func starts(_ prefix: [UInt8], at offset: Int = 0) -> Bool {
            b.count >= offset + prefix.count && b[offset..<offset + prefix.count].elementsEqual(prefix)
        }
        func ascii(_ text: StaticString, at offset: Int = 0) -> Bool {
            starts(Array(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)), at: offset)
        }
        if starts([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) { return "image/png" }
        if starts([0xFF, 0xD8, 0xFF]) { return "image/jpeg" }
        if ascii("GIF87a") || ascii("GIF89a") { return "image/gif" }
        if ascii("RIFF") {
            if ascii("WEBP", at: 8) { return "image/webp" }
            if ascii("WAVE", at: 8) { return "audio/wav" }
            if ascii("AVI ", at: 8) { return "video/x-msvideo" }
        }
        if ascii("BM"), b.count >= 14, b[6...9].allSatisfy({ $0 == 0 }) { return "image/bmp" }
        if ascii("II*\0") || ascii("MM\0*") { return "image/tiff" }
        if starts([0, 0, 1, 0]) { return "image/vnd.microsoft.icon" }
        if ascii("%PDF-") { return "application/pdf" }
        if ascii("PK\u{3}\u{4}") || ascii("PK\u{5}\u{6}") { return "application/zip" }
        if starts([0x1F, 0x8B]) { return "application/gzip" }
        if ascii("7z") && starts([0xBC, 0xAF, 0x27, 0x1C], at: 2) { return "application/x-7z-compressed" }
        if starts([0x28, 0xB5, 0x2F, 0xFD]) { return "application/zstd" }
        if ascii("OggS") { return "audio/ogg" }
        if ascii("fLaC") { return "audio/flac" }
        if ascii("ID3") || (b.count > 1 && b[0] == 0xFF && b[1] & 0xE6 == 0xE2) { return "audio/mpeg" }
        if ascii("ftyp", at: 4) {
            if ascii("avif", at: 8) { return "image/avif" }
            if ascii("hei", at: 8) || ascii("mif1", at: 8) { return "image/heic" }
            if ascii("M4A", at: 8) { return "audio/mp4" }
            if ascii("qt  ", at: 8) { return "video/quicktime" }
            return "video/mp4"
        }
        if starts([0x1A, 0x45, 0xDF, 0xA3]) { return "video/webm" }
        if starts([0x7F]) && ascii("ELF", at: 1) { return "application/x-elf" }
        return nil
    }

    /// Containers hold many formats: a specific claim that fits the container is kept.
    private static func refine(_ known: String, claimed: String?) -> String {
        guard let claimed = normalized(claimed) else { return known }
        switch known {
        case "application/zip":
            let zipped =
                claimed.hasPrefix("application/vnd.openxmlformats-") || claimed.hasPrefix("application/vnd.oasis.")
                || ["application/epub+zip", "application/java-archive"].contains(claimed)
            return zipped ? claimed : known
        case "audio/ogg": return ["video/ogg", "audio/opus"].contains(claimed) ? claimed : known
        case "video/webm": return ["audio/webm", "video/x-matroska"].contains(claimed) ? claimed : known
        case "video/mp4": return claimed == "audio/mp4" ? claimed : known
        default: return known
        }
    }

    private static func normalized(_ claimed: String?) -> String? {
        guard let claimed else { return nil }
        let bare = claimed.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
        let token = { (c: Character) in c.isASCII && (c.isLetter || c.isNumber || "!#$&^_.+-".contains(c)) }
        let parts = bare.split(separator: "/", omittingEmptySubsequences: false)
        guard bare.utf8.count <= 127, parts.count == 2, parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy(token) })
        else { return nil }
        return bare
    }

    private static func isText(_ bytes: [UInt8]) -> Bool {
        bytes.allSatisfy { $0 >= 0x20 || $0 == 9 || $0 == 10 || $0 == 13 || $0 == 12 || $0 == 27 }
    }
}
