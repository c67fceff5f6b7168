// Small programs with SocketIO, one per subject; the articles of the library show their code.
// usage: socketio-example NAME URL
// They talk to a server that answers `echo` with an event `echoed`, acknowledges `answer` with its arguments, never
// acknowledges `ignore`, asks back on `question` and drops the client on `leave`: Tests/SocketIOTests/Servers/conformance.py.

import SocketIO

let examples: [String: @Sendable (String) async throws -> Void] = [
    "started": gettingStarted, "authentication": authentication, "acknowledgements": acknowledgements,
    "binary": binary, "reconnection": reconnection, "delegate": delegate,
    "namespaces": namespaces, "readme": readme,
]

guard CommandLine.arguments.count == 3, let example = examples[CommandLine.arguments[1]] else {
    print("usage: socketio-example \(examples.keys.sorted().joined(separator: "|")) URL")
    throw SocketIOError.invalidArgument("no such example")
}
try await example(CommandLine.arguments[2])
print("done")
