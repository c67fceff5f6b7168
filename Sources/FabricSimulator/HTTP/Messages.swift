import Foundation
import NIOHTTP1

/// Which of the simulated servers a connection came to.
enum Server: Sendable, Hashable {
    case center
    case guild(String)
    case control

    /// As it stands in faults and counters.
    var name: String {
        switch self {
        case .center: "center"
        case .guild(let id): id
        case .control: "control"
        }
    }
}

/// A request whose body is there.
struct Request: Sendable {
    let server: Server
    let method: String
    let path: String
    let query: [String: String]
    let headers: HTTPHeaders
    var body: [UInt8] = []

    init(_ head: HTTPRequestHead, server: Server) {
        self.server = server
        method = head.method.rawValue
        headers = head.headers
        let parts = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = String(parts.first ?? "/")
        var query: [String: String] = [:]
        for pair in parts.dropFirst().first?.split(separator: "&") ?? [] {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let text = sides.map { $0.replacingOccurrences(of: "+", with: " ").removingPercentEncoding ?? "" }
            if let key = text.first { query[key] = text.count > 1 ? text[1] : "" }
        }
        self.query = query
    }

    var bearer: String? {
        guard let value = headers.first(name: "authorization"), value.lowercased().hasPrefix("bearer ") else {
            return nil
        }
        return String(value.dropFirst("bearer ".count))
    }

    /// The path cut at its slashes.
    var segments: [String] {
        path.split(separator: "/").map { $0.removingPercentEncoding ?? String($0) }
    }

    var object: [String: Any] { JSONText.object(body) ?? [:] }
    /// Of a body that is a list.
    var objects: [[String: Any]] { JSONText.objects(body) ?? [] }
}

struct Response: Sendable {
    enum Body: Sendable {
        case bytes([UInt8])
        case content(FileContent, size: Int64)
    }

    var status: Int
    var headers: [(String, String)] = []
    var body: Body = .bytes([])

    static func json(_ object: Any, status: Int = 200) -> Response {
        text(JSONText.bytes(object), status: status)
    }

    static func encoded(_ value: some Encodable, status: Int = 200) -> Response {
        text(JSONText.encode(value), status: status)
    }

    static func text(_ json: [UInt8], status: Int = 200) -> Response {
        Response(
            status: status, headers: [("Content-Type", "application/json; charset=utf-8")], body: .bytes(json))
    }

    static func error(_ status: Int, _ message: String) -> Response {
        text(JSONText.error(status: status, message: message), status: status)
    }

    static func refusal(_ refusal: World.Refusal) -> Response {
        text(refusal.body, status: refusal.status)
    }

    /// Express's answer to an unknown route.
    static func noRoute(_ request: Request) -> Response {
        error(404, "Cannot \(request.method) \(request.path)")
    }
}

/// What the connection is to do with a request whose head has come.
enum Admission: Sendable {
    /// Take in the body, then ask for the answer.
    case collect(Ticket)
    /// The body is a multipart upload; stream it into a file.
    case upload(Ticket, UploadOrder)
    /// Answer so, whatever the body is.
    case answer(Ticket, Response)
    /// Close without an answer.
    case drop
    /// Keep the connection, never answer.
    case ignore
}

struct UploadOrder: Sendable {
    let guild: String
    let user: String
    let path: String
    let limit: Int64
    let keepsUpTo: Int64
    /// What the part with the file must be called; empty: anything.
    let part: String
}

/// A request under way.
struct Ticket: Sendable {
    let number: Int
    let fault: RouteFault?
}

/// A file that came in by upload.
struct UploadedPart: Sendable {
    let name: String
    let mediaType: String
    let content: FileContent
    let size: Int64
    let digest: String
}
