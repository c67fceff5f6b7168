import Foundation
import NIOCore

/// Where the bytes of a file are.
enum FileContent: Sendable {
    case memory([UInt8])
    /// Repetitions of one pattern block; any size costs nothing.
    case generated(GeneratedContent)
    case disk(path: String)
    /// Counted and hashed on upload, not kept.
    case discarded
}

/// Content that is made up as it is read: a fixed block of pseudo-random bytes, repeated. The length of the block is a
/// prime, so that no power-of-two mistake of a reader goes unnoticed.
public struct GeneratedContent: Sendable, Equatable {
    /// Bytes in one block.
    public static let blockSize = 1_048_573
    /// Bytes in all.
    public let size: Int64
    /// Seed of the pattern.
    public let seed: UInt64
    private let block: ByteBuffer

    public init(size: Int64, seed: UInt64 = 1) {
        self.size = size
        self.seed = seed
        var generator = SeededGenerator(seed: seed)
        var bytes = ByteBufferAllocator().buffer(capacity: Self.blockSize + 8)
        while bytes.readableBytes < Self.blockSize { bytes.writeInteger(generator.next()) }
        block = bytes.getSlice(at: 0, length: Self.blockSize) ?? bytes
    }

    /// Up to `length` bytes from `offset`, without a copy; shorter at the end of a block and at the end of the content.
    func slice(at offset: Int64, length: Int) -> ByteBuffer {
        let start = Int(offset % Int64(Self.blockSize))
        let count = Int(min(Int64(min(length, Self.blockSize - start)), max(0, size - offset)))
        return block.getSlice(at: start, length: count) ?? ByteBuffer()
    }

    /// ``ContentHash`` of all of it; reads it through once.
    public func digest() -> String {
        var hash = ContentHash()
        var offset: Int64 = 0
        while offset < size {
            let part = slice(at: offset, length: Self.blockSize)
            part.withUnsafeReadableBytes { hash.update($0) }
            offset += Int64(part.readableBytes)
        }
        return hash.digest
    }
}

/// Reads a file's bytes piece by piece.
struct ContentReader {
    private let content: FileContent
    private var offset: Int64 = 0
    private var handle: FileHandle?

    init(_ content: FileContent) {
        self.content = content
        if case .disk(let path) = content { handle = FileHandle(forReadingAtPath: path) }
    }

    /// The next piece, empty at the end.
    mutating func next(upTo length: Int) -> ByteBuffer {
        let piece: ByteBuffer
        switch content {
        case .memory(let bytes):
            let start = Int(offset)
            piece = ByteBuffer(bytes: bytes[start..<min(bytes.count, start + length)])
        case .generated(let generated):
            piece = generated.slice(at: offset, length: length)
        case .disk:
            let data = (try? handle?.read(upToCount: length)) ?? Data()
            piece = ByteBuffer(bytes: data)
        case .discarded:
            piece = ByteBuffer()
        }
        offset += Int64(piece.readableBytes)
        return piece
    }

    func close() {
        try? handle?.close()
    }
}
