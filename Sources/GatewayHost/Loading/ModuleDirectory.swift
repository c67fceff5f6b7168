import CGatewaySystem
import GatewayControl
import Glibc

/// The folder of private copies. A module is never loaded from where the operator installed it: the same path again
/// would give the old code, and overwriting a loaded file in place crashes it.
public struct ModuleDirectory: Sendable {
    /// The folder, absolute.
    public let path: String

    /// Opens (creates, mode 0700) the folder.
    public init(path: String) throws(POSIXFailure) {
        self.path = path
        try Files.makePrivateDirectory(path)
    }

    /// Copies the library under a name nobody used before.
    /// - Returns: the copy's path.
    /// - Throws: when the original cannot be read or is being written just now, or there is no room.
    func copy(of original: String, id: String) throws(ModuleError) -> String {
        let name = "\(id).\(Self.owner).\(String(UInt64.random(in: .min ... .max), radix: 36)).so"
        let target = path + "/" + name
        do {
            try Self.copy(original, to: target)
        } catch {
            unlink(target)
            guard error.operation.hasSuffix(target) else {
                throw ModuleError(
                    .file, "the module cannot be read (\(error))", place: original,
                    remedy: "Check the path in plugin.json and the file's permissions, or build the module")
            }
            throw ModuleError(
                .file, "no private copy could be made (\(error))", place: target,
                remedy: "Make room in the state directory and check its permissions")
        }
        lendRuntime(of: original)
        return target
    }

    /// Libraries that a plugin folder carries along (`$ORIGIN/runtime`) must be found from the copy too. The link is
    /// needed while the copy is being opened, and modules are opened one after another.
    private func lendRuntime(of original: String) {
        let link = path + "/runtime"
        let carried = Files.parent(of: original) + "/runtime"
        unlink(link)
        // If it cannot be made, the loader says which library is missing.
        if access(carried, X_OK) == 0 { symlink(carried, link) }
    }

    /// Removes one copy. The code stays mapped, so this is safe for a library that is loaded.
    func remove(_ copy: String) { unlink(copy) }

    /// Removes copies whose process is gone: those a killed gateway left behind.
    /// - Returns: how many were removed.
    @discardableResult
    public func sweep() -> Int {
        var removed = 0
        for name in Files.names(in: path) where name.hasSuffix(".so") {
            let parts = name.split(separator: ".")
            guard parts.count >= 4 else { continue }
            let owner = parts[parts.count - 3].split(separator: "-")
            guard owner.count == 2, let pid = pid_t(owner[0]), let start = UInt64(owner[1]) else { continue }
            if Self.startTime(of: pid) != start, unlink(path + "/" + name) == 0 { removed += 1 }
        }
        return removed
    }

    /// `pid-starttime` of this process: a pid alone may be somebody else's by now.
    static var owner: String { "\(getpid())-\(startTime(of: getpid()) ?? 0)" }

    /// Field 22 of `/proc/<pid>/stat`: when the process started, in clock ticks since boot; `nil` if there is none.
    static func startTime(of pid: pid_t) -> UInt64? {
        guard let bytes = try? Files.read("/proc/\(pid)/stat") else { return nil }
        // The command's name may hold spaces and parentheses; the fields are counted from the last one.
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        return fields.count > 19 ? UInt64(fields[19]) : nil
    }

    private struct Facts: Equatable {
        var inode: UInt
        var size: Int
        var seconds: Int
        var nanoseconds: Int
        var isDirectory: Bool
    }

    private static func facts(_ path: String) throws(POSIXFailure) -> Facts {
        var facts = stat()
        guard stat(path, &facts) == 0 else { throw POSIXFailure(operation: "examining \(path)") }
        return Facts(
            inode: UInt(facts.st_ino), size: Int(facts.st_size), seconds: facts.st_mtim.tv_sec,
            nanoseconds: facts.st_mtim.tv_nsec, isDirectory: facts.st_mode & S_IFMT == S_IFDIR)
    }

    private static func copy(_ original: String, to target: String) throws(POSIXFailure) {
        let before = try facts(original)
        guard !before.isDirectory else { throw POSIXFailure(operation: "reading \(original)", code: EISDIR) }
        let source = gateway_open(original, O_RDONLY, 0)
        guard source >= 0 else { throw POSIXFailure(operation: "opening \(original)") }
        defer { close(source) }
        let descriptor = gateway_open(target, O_WRONLY | O_CREAT | O_EXCL, 0o700)
        guard descriptor >= 0 else { throw POSIXFailure(operation: "creating \(target)") }
        defer { close(descriptor) }
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = chunk.withUnsafeMutableBytes { read(source, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw POSIXFailure(operation: "reading \(original)") }
            if count == 0 { break }
            try write(chunk, count, to: descriptor, target)
        }
        guard try facts(original) == before else {
            throw POSIXFailure(operation: "reading \(original), which changed meanwhile", code: EAGAIN)
        }
    }

    private static func write(
        _ bytes: [UInt8], _ count: Int, to descriptor: Int32, _ path: String
    ) throws(POSIXFailure) {
        var offset = 0
        while offset < count {
            let written = bytes.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress?.advanced(by: offset), count - offset)
            }
            if written < 0 {
                if errno == EINTR { continue }
                throw POSIXFailure(operation: "writing \(path)")
            }
            offset += written
        }
    }
}
