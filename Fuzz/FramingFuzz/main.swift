// libFuzzer's entry for the WebSocket framing; built and run by Fuzz/run.
//
// The input: a byte of flags (1: read directly where it is offered), a byte that says how long the pieces are that the
// rest is fed in, and the bytes of a server. What is told must not depend on the pieces.

private struct Tale: Equatable {
    var words: [UInt8] = []

    mutating func tell(_ event: WebSocketFraming.Event) {
        switch event {
        case .message(let bytes, let isBinary):
            precondition(isBinary || String(validating: bytes, as: UTF8.self) != nil)
            words += [1, isBinary ? 1 : 0] + bytes
        case .ping(let bytes):
            precondition(bytes.count <= 125)
            words += [2] + bytes
        case .pong: words += [3]
        case .close(let code, let reason):
            precondition(String(validating: reason, as: UTF8.self) != nil)
            words += [4, UInt8(truncatingIfNeeded: code ?? 0)] + reason
        case .violation(let violation): words += [5] + Array("\(violation)".utf8)
        case .tooLarge: words += [6]
        }
    }
}

private func tale(_ input: UnsafeRawBufferPointer, pieces: Int, direct: Bool) -> Tale {
    var framing = WebSocketFraming(maximumMessageBytes: 1000, shelf: RoomShelf())
    var tale = Tale()
    var at = 0
    while at < input.count {
        if direct, let space = framing.directSpace(least: 1) {
            precondition(space.count <= 1000)
            let count = min(space.count, input.count - at)
            space.copyMemory(from: UnsafeRawBufferPointer(rebasing: input[at..<at + count]))
            framing.readDirectly(count)
            at += count
            var nothing = 0
            while let event = framing.next(UnsafeRawBufferPointer(start: nil, count: 0), &nothing) { tale.tell(event) }
            continue
        }
        // A copy of exactly this size, so that the address sanitizer sees every byte read beyond.
        let piece = [UInt8](input[at..<min(at + pieces, input.count)])
        piece.withUnsafeBytes { bytes in
            var used = 0
            while let event = framing.next(bytes, &used) { tale.tell(event) }
            precondition(used == bytes.count)
        }
        at += piece.count
    }
    return tale
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 2 else { return 0 }
    let input = UnsafeRawBufferPointer(start: start + 2, count: count - 2)
    let whole = tale(input, pieces: input.count, direct: false)
    precondition(tale(input, pieces: Int(start[1]) + 1, direct: start[0] & 1 == 1) == whole)
    return 0
}
