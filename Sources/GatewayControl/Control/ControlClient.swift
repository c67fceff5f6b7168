import Glibc
import JSONBytes

/// Asks a running gateway, as the command line does. Blocks.
public enum ControlClient {
    /// Why there is no result.
    public enum Failure: Error, CustomStringConvertible, Sendable {
        /// Nobody listens there.
        case noGateway(path: String)
        /// The gateway refused, or did not answer.
        case failed(GatewayError)

        /// What happened and what to do.
        public var description: String {
            switch self {
            case .noGateway(let path): "no gateway runs here (nobody listens on \(path)). Start one with gateway run."
            case .failed(let error): error.description
            }
        }
    }

    /// Sends one request and waits for the answer, at most `limit`.
    public static func ask(
        _ request: JSONValue, stateDirectory: String, within limit: Duration = .seconds(60)
    ) throws(Failure) -> JSONValue {
        do {
            let bytes = try exchange(request.serialized + [UInt8(ascii: "\n")], stateDirectory, limit)
            guard let answer = JSONValue.parsed(bytes) else {
                throw GatewayError("the gateway closed the connection without an answer; look at its log")
            }
            return try ControlAnswer.read(answer)
        } catch let error as POSIXFailure where [ENOENT, ECONNREFUSED].contains(error.code) {
            throw .noGateway(path: stateDirectory + "/" + ControlAddress.fileName)
        } catch {
            throw .failed(GatewayError(error))
        }
    }

    private static func exchange(_ request: [UInt8], _ stateDirectory: String, _ limit: Duration) throws -> [UInt8] {
        let address = try ControlAddress(stateDirectory: stateDirectory)
        let descriptor = try ControlAddress.socket()
        defer { close(descriptor) }
        guard address.lend({ connect(descriptor, $0, $1) }) == 0 else {
            throw POSIXFailure(operation: "connecting to \(address.path)")
        }
        var sent = 0
        while sent < request.count {
            // MSG_NOSIGNAL: a gateway that went away is an error, not the end of this process.
            let count = request.withUnsafeBytes {
                send(descriptor, $0.baseAddress?.advanced(by: sent), request.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw POSIXFailure(operation: "asking the gateway") }
            sent += count
        }
        let end = ContinuousClock.now.advanced(by: limit)
        var answer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while answer.last != UInt8(ascii: "\n") {
            let left = (end - .now) / .milliseconds(1)
            var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard left > 0, poll(&polled, 1, Int32(left.rounded(.up))) != 0 else {
                throw GatewayError("the gateway did not answer within \(limit.brief)", remedy: "Look at its log")
            }
            let count = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw POSIXFailure(operation: "reading the gateway's answer") }
            if count == 0 { break }
            answer += chunk[..<count]
        }
        return answer
    }
}
