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
            case .noGateway(let path): "no gateway runs here (nobody listens on \(path)). Start one with `gateway run`."
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
        let end = ContinuousClock.now.advanced(by: limit)
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        // The queue of a gateway that does not take connections is full at some time: asked again, not waited in.
        while address.lend({ connect(descriptor, $0, $1) }) != 0 {
            guard errno == EAGAIN || errno == EINTR else {
                throw POSIXFailure(operation: "connecting to \(address.path)")
            }
            guard .now < end else { throw noAnswer(stateDirectory, limit) }
            poll(nil, 0, 20)
        }
        func wait(for events: Int32) throws {
            while true {
                let left = (end - .now) / .milliseconds(1)
                guard left > 0 else { throw noAnswer(stateDirectory, limit) }
                var polled = pollfd(fd: descriptor, events: Int16(events), revents: 0)
                if poll(&polled, 1, Int32(clamping: Int(left.rounded(.up)))) > 0 { return }
            }
        }
        var sent = 0
        while sent < request.count {
            // MSG_NOSIGNAL: a gateway that went away is an error, not the end of this process.
            let count = request.withUnsafeBytes {
                send(descriptor, $0.baseAddress?.advanced(by: sent), request.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                sent += count
            } else if errno == EAGAIN {
                try wait(for: POLLOUT)
            } else if errno != EINTR {
                throw POSIXFailure(operation: "asking the gateway")
            }
        }
        var answer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while answer.last != UInt8(ascii: "\n") {
            try wait(for: POLLIN)
            let count = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count >= 0 else { throw POSIXFailure(operation: "reading the gateway's answer") }
            if count == 0 { break }
            answer += chunk[..<count]
        }
        return answer
    }

    /// Somebody listens and says nothing.
    private static func noAnswer(_ directory: String, _ limit: Duration) -> GatewayError {
        guard let process = StateLock.holder(of: directory) else {
            return GatewayError(
                "the gateway did not answer within \(limit.brief)", place: directory, remedy: "Look at its log")
        }
        return GatewayError(
            "the gateway, process \(process), did not answer within \(limit.brief): it is frozen, or busy beyond measure",
            place: directory,
            remedy:
                "Look at its log and at ps -o stat,time -p \(process) (T: it was stopped, kill -CONT \(process) lets "
                + "it go on); kill -KILL \(process) ends it, and what was not settled is delivered again")
    }
}
