/// What goes wrong on purpose. Set from a test with ``FabricSimulator/setFaults(_:)`` and its relatives, from outside
/// with `POST /_sim/faults` on the control port; both use the property names below. Everything is off by default.
public struct Faults: Sendable, Codable, Equatable {
    /// How far a realtime connection gets before the server falls silent for good.
    public enum Silence: String, Sendable, Codable {
        /// The upgrade succeeds, the Engine.IO open packet never comes.
        case beforeOpen
        /// The open packet comes, the answer to the namespace CONNECT never does.
        case beforeConnect
    }

    /// What every event is accompanied by; each makes a correct client close the connection or ignore the frame.
    public enum Garbage: String, Sendable, Codable {
        /// `42/realtime,["message.created",{` (text that ends too early)
        case truncatedJSON
        /// A packet type that does not exist.
        case unknownPacket
        /// A text frame that is not UTF-8.
        case invalidUTF8
        /// A binary frame nobody announced.
        case unexpectedBinary
    }

    /// Faults of single requests; the first that matches is applied.
    public var routes: [RouteFault] = []
    /// Servers (`center` or a guild's node id) that accept TCP connections and never answer.
    public var blackhole: Set<String> = []
    /// Servers that reset every new TCP connection at once.
    public var resets: Set<String> = []
    /// Guilds whose sockets stay open and are pinged, but get no events. See also ``FabricSimulator/deafen(guild:user:)``,
    /// which strikes only the sockets of the moment.
    public var deaf: Set<String> = []
    /// Treats this many CONNECTs as if their token were bad, whatever it is.
    public var rejectConnects = 0
    /// Guilds that are listed at login without a token for them.
    public var missingTokens: Set<String> = []
    /// Ids of channels that channel lists leave out.
    public var unlisted: Set<String> = []
    /// Where new realtime connections fall silent.
    public var silence: Silence?
    /// Whether the server stops sending pings.
    public var withholdsPings = false
    /// How often each `message.created` is sent (2 = every event twice).
    public var repeats = 1
    /// Holds back this many `message.created` per channel and sends them in reverse order when that many are there.
    /// 0 or 1 sends at once; lowering it releases what is held.
    public var reorderWindow = 0
    /// Leaves `seq` out of `message.created`.
    public var omitsSeq = false
    public var garbage: Garbage?
    /// Seconds by which events are late.
    public var emitDelay: Double = 0
    /// The share, 0 to 1, of the answers and events in which one value is another one, of any kind and size.
    public var distorts: Double = 0
    /// What decides which, and by what; another one begins anew.
    public var distortionSeed: UInt64 = 0

    public init() {}

    enum CodingKeys: String, CodingKey, CaseIterable {
        case routes, blackhole, resets, deaf, rejectConnects, missingTokens, unlisted, silence, withholdsPings, repeats
        case reorderWindow, omitsSeq, garbage, emitDelay, distorts, distortionSeed
    }
}

/// A fault of chosen HTTP requests. The realtime upgrade is the request `GET /socket.io/`.
public struct RouteFault: Sendable, Codable, Equatable {
    public enum Drop: String, Sendable, Codable {
        /// The connection is closed, the request was not processed.
        case before
        /// The request was processed, then the connection is closed with no answer: the unknown outcome.
        case after
        /// The request is neither processed nor answered; the connection stays open.
        case never
    }

    /// `center` or a guild's node id; nil means any.
    public var server: String?
    /// nil means any.
    public var method: String?
    /// Prefix of the path, e.g. `/api/channels`.
    public var path: String
    /// What the path must end with, e.g. `/messages`.
    public var suffix: String?
    /// Id of the user the token (or API key) belongs to; nil means any.
    public var user: String?
    /// Matching requests to leave alone before the first is struck.
    public var skip: Int?
    /// How many requests are struck; nil means until cleared.
    public var count: Int?

    /// Answer with this status instead of processing the request.
    public var status: Int?
    /// `message` of the error body.
    public var message: String?
    /// Answer with exactly this body, whatever it is, as a proxy's page or nothing at all; with no `status`, 200.
    public var body: String?
    /// The request is processed before it is answered so.
    public var isProcessed: Bool?
    /// Seconds for the `Retry-After` header.
    public var retryAfter: Int?
    /// `Location` header; with no `status`, 302.
    public var redirect: String?
    /// Seconds the answer is late.
    public var delay: Double?
    /// Send only this many bytes of the body, then close the connection.
    public var truncateAfter: Int?
    public var drop: Drop?
    /// Send the body byte by byte, so many seconds apart.
    public var trickle: Double?

    public init(
        server: String? = nil, method: String? = nil, path: String, suffix: String? = nil, user: String? = nil,
        skip: Int? = nil, count: Int? = nil, status: Int? = nil, message: String? = nil, body: String? = nil,
        isProcessed: Bool? = nil, retryAfter: Int? = nil,
        redirect: String? = nil, delay: Double? = nil, truncateAfter: Int? = nil, drop: Drop? = nil,
        trickle: Double? = nil
    ) {
        self.server = server
        self.method = method
        self.path = path
        self.suffix = suffix
        self.user = user
        self.skip = skip
        self.count = count
        self.status = status
        self.message = message
        self.body = body
        self.isProcessed = isProcessed
        self.retryAfter = retryAfter
        self.redirect = redirect
        self.delay = delay
        self.truncateAfter = truncateAfter
        self.drop = drop
        self.trickle = trickle
    }

    /// Whether the answer is the fault's and not the simulator's.
    var answers: Bool { status != nil || redirect != nil || body != nil }

    func matches(server: String, method: String, path: String, user: String?) -> Bool {
        (self.server == nil || self.server == server)
            && (self.method == nil || self.method == method)
            && path.hasPrefix(self.path)
            && (suffix.map(path.hasSuffix) ?? true)
            && (self.user == nil || self.user == user)
    }
}

extension Faults {
    /// The fault for a request, with its counts moved on.
    mutating func strike(server: String, method: String, path: String, user: String?) -> RouteFault? {
        for index in routes.indices where routes[index].matches(server: server, method: method, path: path, user: user)
        {
            if let skip = routes[index].skip, skip > 0 {
                routes[index].skip = skip - 1
                continue
            }
            let fault = routes[index]
            if let count = fault.count {
                guard count > 0 else { continue }
                routes[index].count = count - 1
                if count == 1 { routes.remove(at: index) }
            }
            return fault
        }
        return nil
    }
}
