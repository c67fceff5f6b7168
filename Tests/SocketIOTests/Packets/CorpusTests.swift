import Foundation
import Testing

@testable import SocketIO

/// What fuzzing found worth keeping (Fuzz/corpus; the format is told in Fuzz/DecoderFuzz/main.swift).
struct CorpusTests {
    @Test func theCorpusIsNoTrap() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../../Fuzz/corpus").standardizedFileURL
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(files.count > 50 && files.count < 200)
        var packets = 0
        for file in files {
            let input = [UInt8](try Data(contentsOf: file))
            var decoder = PacketDecoder()
            var at = 0
            while at < input.count {
                let announced = at + 2 < input.count ? Int(input[at + 1]) | Int(input[at + 2]) << 8 : 0
                let from = min(at + 3, input.count)
                let to = min(from + announced, input.count)
                Array(input[from..<to]).withUnsafeBytes { bytes in
                    if input[at] & 1 == 1 {
                        if (try? decoder.decode(binary: bytes)) != nil { packets += 1 }
                    } else if (try? decoder.decode(text: bytes)) != nil {
                        packets += 1
                    }
                }
                at = max(to, at + 3)
            }
        }
        #expect(packets > 10)
    }

    /// The same for the framing (Fuzz/framing-corpus, Fuzz/FramingFuzz/main.swift): what is told does not depend on
    /// how the bytes are cut.
    @Test func theFramingCorpusIsNoTrap() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../../Fuzz/framing-corpus").standardizedFileURL
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(files.count > 20 && files.count < 200)
        var messages = 0
        for file in files {
            let input = [UInt8](try Data(contentsOf: file))
            guard input.count > 2 else { continue }
            let bytes = Array(input[2...])
            let told = frames(bytes, limit: 1000)
            messages += told.count
            let cuts = Array(stride(from: Int(input[1]) + 1, to: bytes.count, by: Int(input[1]) + 1))
            #expect(frames(bytes, cuts: cuts, limit: 1000, direct: 7) == told)
        }
        #expect(messages > 10)
    }
}
