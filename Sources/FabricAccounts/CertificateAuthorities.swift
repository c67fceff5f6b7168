import JSONBytes
import Settings

/// A PEM file of authorities, read and looked through: what is no certificate is found when the file is named, not when the
/// first connection fails.
public struct CertificateAuthorities: Sendable, Equatable {
    /// Where it was read.
    public let path: String
    /// The file's bytes.
    public let pem: [UInt8]

    /// Reads the file.
    /// - Throws: ``SettingsError`` if it cannot be read, or holds no certificate or a broken one.
    public init(path: String) throws(SettingsError) {
        switch FileText.read(path, limit: Self.largest) {
        case .failure(let error):
            throw SettingsError(file: path, keyPath: "", problem: error.problem, remedy: error.remedy)
        case .success(let bytes): try self.init(path: path, pem: bytes)
        }
    }

    /// The file as if it held `pem`.
    public init(path: String, pem: [UInt8]) throws(SettingsError) {
        if let problem = Self.problem(pem) {
            throw SettingsError(
                file: path, keyPath: "", problem: problem,
                remedy: "Name a PEM file with the authorities' certificates (-----BEGIN CERTIFICATE-----)")
        }
        self.path = path
        self.pem = pem
    }

    /// The same for the same bytes, in every process; hexadecimal, 16 digits.
    public var contentName: String {
        // FNV-1a. It names a file whose content is compared before it is used, so a chance meeting does no harm.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in pem { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let text = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }

    /// The system's own bundle has 200 KiB.
    private static let largest = 16 << 20

    private static func problem(_ pem: [UInt8]) -> String? {
        var found = 0
        var inside: [UInt8]?
        for line in pem.split(separator: 0x0A) {
            let text = line.filter { $0 > 0x20 }
            if text.starts(with: "-----BEGIN".utf8) {
                guard inside == nil else { return "a certificate in it is cut off" }
                inside = String(decoding: text, as: UTF8.self).hasSuffix("CERTIFICATE-----") ? [] : nil
            } else if text.starts(with: "-----END".utf8) {
                guard let certificate = inside else { continue }
                inside = nil
                found += 1
                guard isDER(certificate) else { return "certificate \(found) in it is broken" }
            } else {
                inside?.append(contentsOf: text)
            }
        }
        if inside != nil { return "the last certificate in it is cut off" }
        return found == 0 ? "there is no certificate in it" : nil
    }

    /// Whether a base64 text is one DER sequence and nothing else: what it says is for the TLS library to judge.
    private static func isDER(_ base64: [UInt8]) -> Bool {
        guard let bytes = Base64.decoded(base64), bytes.count >= 4, bytes[0] == 0x30 else { return false }
        guard bytes[1] >= 0x80 else { return bytes.count == 2 + Int(bytes[1]) }
        let digits = Int(bytes[1] & 0x7F)
        guard (1...4).contains(digits), bytes.count >= 2 + digits else { return false }
        let length = bytes[2..<(2 + digits)].reduce(0) { $0 << 8 | Int($1) }
        return bytes.count == 2 + digits + length
    }
}
