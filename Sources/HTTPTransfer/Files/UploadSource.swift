import CLibCurl
import Glibc

/// A body or a part that libcurl reads while it sends. Nothing but libcurl's own buffer is held of a file.
final class UploadSource {
    /// It outlives the source: the transfer owns its sources.
    private unowned let transfer: Transfer
    private let source: TransferPart.Source
    private let mayRepeat: Bool
    private var offset: Int64 = 0
    private(set) var isAtEnd = false
    let size: Int64

    init(_ transfer: Transfer, _ source: TransferPart.Source, mayRepeat: Bool) {
        self.transfer = transfer
        self.source = source
        self.mayRepeat = mayRepeat
        size =
            switch source {
            case .bytes(let bytes): Int64(bytes.count)
            case .file(_, _, let size): size
            }
        isAtEnd = size == 0
    }

    var context: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    /// The number of bytes put into `buffer`; 0 at the end.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let wanted = Int(min(Int64(buffer.count), size - offset))
        let now = ContinuousClock.now
        transfer.clock.sentPiece(at: now)
        guard wanted > 0 else { return 0 }
        let count: Int
        switch source {
        case .bytes(let bytes):
            bytes.withUnsafeBytes {
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[Int(offset)...].prefix(wanted)))
            }
            count = wanted
        case .file(let descriptor, let path, _):
            count = readFile(descriptor, path, UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]))
            guard count > 0 else { return Int(CURL_READFUNC_ABORT) }
        }
        offset += Int64(count)
        if offset == size {
            isAtEnd = true
            if transfer.unsent == 0 { transfer.clock.sentAll(at: now) }
        }
        return count
    }

    private func readFile(_ descriptor: Int32, _ path: String, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
        var count = 0
        repeat {
            count = pread(descriptor, buffer.baseAddress, buffer.count, off_t(offset))
        } while count < 0 && errno == EINTR
        guard count >= 0 else {
            let number = errno
            transfer.fail(.file(path: path, errno: number), "reading \(path) failed: \(errorText(number))")
            return 0
        }
        // Asked where the last bytes leave us: a file that grew would be cut, one that shrank has not that many.
        guard count > 0, offset + Int64(count) < size || fileSize(descriptor) == size else {
            transfer.fail(.fileChanged(path: path), "\(path) changed its size while it was uploaded")
            return 0
        }
        return count
    }

    /// libcurl asks for it when a request has to be sent again.
    func seek(to position: Int64) -> Bool {
        if position == offset { return true }
        guard mayRepeat || !transfer.isRequestSent, (0...size).contains(position) else { return false }
        offset = position
        isAtEnd = offset == size
        return true
    }
}

func uploadRead(
    _ buffer: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context, let buffer else { return Int(CURL_READFUNC_ABORT) }
    let source = Unmanaged<UploadSource>.fromOpaque(context).takeUnretainedValue()
    return source.read(into: UnsafeMutableRawBufferPointer(start: buffer, count: size * count))
}

func uploadSeek(_ context: UnsafeMutableRawPointer?, _ offset: curl_off_t, _ origin: Int32) -> Int32 {
    guard let context, origin == SEEK_SET else { return Int32(CURL_SEEKFUNC_FAIL) }
    let source = Unmanaged<UploadSource>.fromOpaque(context).takeUnretainedValue()
    return source.seek(to: Int64(offset)) ? Int32(CURL_SEEKFUNC_OK) : Int32(CURL_SEEKFUNC_FAIL)
}

func fileSize(_ descriptor: Int32) -> Int64? {
    var status = stat()
    return fstat(descriptor, &status) == 0 ? Int64(status.st_size) : nil
}

func errorText(_ number: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 128)
    return buffer.withUnsafeMutableBufferPointer { area in
        guard let base = area.baseAddress, strerror_r(number, base, area.count) == 0 else { return "error \(number)" }
        return String(cString: base)
    }
}
