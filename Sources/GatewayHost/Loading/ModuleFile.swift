import GatewayControl
import Glibc

/// The check of a shared library before the loader sees it. The loader maps segments and touches them; a file that
/// ends before its segments do would kill the process with SIGBUS, so that must be known beforehand.
enum ModuleFile {
    /// Refuses bytes that are not a complete 64-bit ELF shared object of this machine.
    static func check(_ bytes: UnsafeRawBufferPointer, path: String) throws(ModuleError) {
        func refuse(_ problem: String) -> ModuleError {
            ModuleError(.file, problem, place: path, remedy: "Build the module again and install it by renaming")
        }
        guard bytes.count >= 64, bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46]) else {
            throw refuse("this is not a shared library (no ELF header)")
        }
        // EI_CLASS 2 is 64 bits, EI_DATA 1 is little-endian: all machines Swift for Linux runs on.
        guard bytes[4] == 2, bytes[5] == 1 else { throw refuse("this is not a 64-bit little-endian library") }
        guard word(bytes, 16, 2) == 3 else { throw refuse("this is not a shared library (ELF type is not DYN)") }
        guard word(bytes, 18, 2) == machine else { throw refuse("this library is for another processor") }
        let headers = word(bytes, 32, 8)
        let size = word(bytes, 54, 2)
        let count = word(bytes, 56, 2)
        let total = UInt64(bytes.count)
        guard size >= 56, headers <= total, count * size <= total - headers else {
            throw refuse("the file is incomplete: its program headers are missing")
        }
        for index in 0..<count {
            let base = Int(headers + index * size)
            guard word(bytes, base, 4) == 1 else { continue }  // PT_LOAD
            let offset = word(bytes, base + 8, 8)
            let length = word(bytes, base + 32, 8)
            guard offset <= total, length <= total - offset else {
                throw refuse("the file is incomplete: it ends at byte \(total), inside a segment")
            }
        }
        guard !endsBeforeSections(bytes) else {
            throw refuse("the file is incomplete: it ends at byte \(total), before its sections do")
        }
    }

    /// Linkers put the table of sections last, so a copy that is still being written lacks it, though all that is loaded
    /// may be there.
    private static func endsBeforeSections(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let table = word(bytes, 40, 8)
        guard table > 0 else { return false }
        let total = UInt64(bytes.count)
        return table > total || word(bytes, 58, 2) * word(bytes, 60, 2) > total - table
    }

    /// A little-endian number of `width` bytes; the caller checked that it is inside.
    private static func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int, _ width: Int) -> UInt64 {
        guard offset >= 0, offset + width <= bytes.count else { return 0 }
        return (0..<width).reduce(UInt64(0)) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
    }

    /// ELF `e_machine` of the machine this was compiled for.
    private static var machine: UInt64 {
        #if arch(x86_64)
            62
        #elseif arch(arm64)
            183
        #else
            0
        #endif
    }
}
