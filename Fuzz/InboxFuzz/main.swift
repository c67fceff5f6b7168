// libFuzzer's entry for the inbox; built and run by Fuzz/run, in one module with the sources of the inbox.
//
// The input is what `InboxShape` decides by: what the store had, and then lists, events, pages of history, answers, times and
// settlements of any shape and in any order. Nothing may trap, and what an inbox holds stays bounded.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    var shape = InboxShape(UnsafeBufferPointer(start: start, count: count))
    shape.play()
    // A trap is how the fuzzer is told of a finding.
    if let problem = shape.problem { preconditionFailure(problem) }
    return 0
}
