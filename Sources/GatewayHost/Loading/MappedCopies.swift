import GatewayControl
import JSONBytes

/// Copies of modules that have no name any more and are mapped all the same: code cannot be unloaded, and as long as it is
/// mapped its file takes room on the disk.
struct MappedCopies: Equatable {
    var count = 0
    /// Of the files.
    var bytes: UInt64 = 0

    /// Those of this process.
    /// - Parameters:
    ///   - directory: the folder of private copies.
    ///   - inUse: the copies that instances run on; code that is known runs from its first copy, whose name may be gone.
    static func ofThisProcess(in directory: String, except inUse: Set<String>) -> MappedCopies {
        guard let bytes = try? Files.read("/proc/self/maps", limit: 64 << 20) else { return MappedCopies() }
        return MappedCopies(maps: String(decoding: bytes, as: UTF8.self), directory: directory, except: inUse)
    }

    private init() {}

    /// - Parameter maps: the text of `/proc/<pid>/maps`.
    init(maps: String, directory: String, except inUse: Set<String> = []) {
        // A copy is mapped several times; its size is the farthest end of them.
        var ends: [Substring: UInt64] = [:]
        for line in maps.split(separator: "\n") where line.hasSuffix(".so (deleted)") {
            guard let slash = line.firstIndex(of: "/") else { continue }
            let path = line[slash...].dropLast(" (deleted)".count)
            guard path.hasPrefix(directory + "/"), !inUse.contains(String(path)) else { continue }
            let fields = line[..<slash].split(separator: " ", maxSplits: 5)
            guard fields.count >= 5 else { continue }
            let range = fields[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
            guard range.count == 2, range[1] >= range[0], let offset = UInt64(fields[2], radix: 16) else { continue }
            let end = offset.addingReportingOverflow(range[1] - range[0])
            guard !end.overflow else { continue }
            ends[fields[4]] = max(ends[fields[4]] ?? 0, end.partialValue)
        }
        count = ends.count
        bytes = ends.values.reduce(0) { $0.addingReportingOverflow($1).partialValue }
    }

    var json: JSONValue { ["replaced": .int(Int64(count)), "bytes": .int(Int64(clamping: bytes))] }
}
