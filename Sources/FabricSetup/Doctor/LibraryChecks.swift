import Foundation
import Settings

/// The libraries this machine has. The plugin uses the same ones as this command.
enum LibraryChecks {
    static var findings: [DoctorFinding] {
        [
            check("libwebsockets", "lws_get_library_version", least: [4, 1], "libwebsockets17"),
            // CURLOPT_QUICK_EXIT came with it.
            check("libcurl", "curl_version", least: [7, 87], "libcurl4"),
            check("OpenSSL", "OpenSSL_version", least: [3, 0], "libssl3"),
            swift,
        ]
    }

    /// Both kinds of function there are return a text; the number is ignored by those without parameters.
    private typealias VersionFunction = @convention(c) (Int32) -> UnsafePointer<CChar>?

    /// Asks the loaded library, by name: what a header says is what it was built with.
    private static func check(_ library: String, _ symbol: String, least: [Int], _ package: String) -> DoctorFinding {
        guard let address = dlsym(nil, symbol),
            let text = unsafeBitCast(address, to: VersionFunction.self)(0).map({ String(cString: $0) })
        else {
            return DoctorFinding(
                .warning, "its version is not known: it is not loaded", at: library, remedy: "Install \(package)")
        }
        let version = numbers(text)
        // libcurl lists everything it was built with; its TLS library is what matters.
        let words = text.split(separator: " ").prefix(symbol == "curl_version" ? 2 : 5).joined(separator: " ")
        let wanted = least.map(String.init).joined(separator: ".")
        let isEnough = !version.lexicographicallyPrecedes(least)
        return DoctorFinding(
            isEnough ? .good : .error, isEnough ? words : "\(words) is too old, \(wanted) or later is needed",
            at: library, remedy: isEnough ? "" : "Install a newer \(package)")
    }

    /// The first run of numbers and dots: `[7, 88, 1]` of `libcurl/7.88.1 OpenSSL/3.0.17`.
    static func numbers(_ text: String) -> [Int] {
        let from = text.drop { !$0.isNumber }
        return from.prefix { $0.isNumber || $0 == "." }.split(separator: ".").compactMap { Int($0) }
    }

    private static var swift: DoctorFinding {
        #if compiler(>=6.4)
            let compiler = "6.4 or later"
        #else
            let compiler = "6.3"
        #endif
        let path = loaded("libswiftCore.so")
        return DoctorFinding(
            .good, "\(path ?? "linked into this program"); built with Swift \(compiler)", at: "Swift runtime")
    }

    /// Where a library was loaded from.
    private static func loaded(_ name: String) -> String? {
        guard case .success(let bytes) = FileText.read("/proc/self/maps", limit: 1 << 24) else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        guard let line = lines.first(where: { $0.hasSuffix("/" + name) }) else { return nil }
        return line.firstIndex(of: "/").map { String(line[$0...]) }
    }
}
