import NIOCore
import NIOHTTP1

/// What happens to a request before its body is there: log, faults, and the check of uploads.
extension FabricSimulator {
    private static let logLength = 8192

    func admit(_ head: HTTPRequestHead, server: Server, channel: any Channel) -> Admission {
        let request = Request(head, server: server)
        let user = userOf(request)
        let number = note(request, user: user, target: head.uri)
        let fault: RouteFault?
        if let stored = upgradeFaults.removeValue(forKey: ObjectIdentifier(channel)) {
            fault = stored
        } else if server == .control {
            // Else a careless prefix would lock the test out.
            fault = nil
        } else {
            fault = activeFaults.strike(server: server.name, method: request.method, path: request.path, user: user)
        }
        let ticket = Ticket(number: number, fault: fault)
        if let fault {
            switch fault.drop {
            case .before: return .drop
            case .never: return .ignore
            case .after, nil: break
            }
            if fault.answers, fault.isProcessed != true { return .answer(ticket, Self.answer(of: fault)) }
        }
        if request.path == "/api/auth/agent/login" {
            openLogins.insert(number)
            counted.peakLogins = max(counted.peakLogins, openLogins.count)
            noteRateOfLogins()
        }
        guard case .guild(let guild) = server, request.method == "POST", request.path == "/api/files" else {
            return .collect(ticket)
        }
        guard let user = authenticatedUser(request, guild: guild) else {
            return .answer(ticket, unauthorized(request))
        }
        if let length = request.headers.first(name: "content-length").flatMap(Int64.init),
            length > switches.uploadLimit + 65_536
        {
            return .answer(ticket, .error(413, "File too large"))
        }
        return .upload(
            ticket,
            UploadOrder(
                guild: guild, user: user, path: spoolPath(), limit: switches.uploadLimit,
                keepsUpTo: switches.keepsUploadsUpTo, part: switches.uploadPart))
    }

    private func noteRateOfLogins() {
        let now = NIODeadline.now()
        while let first = loginTimes.first, first + .seconds(1) <= now { loginTimes.removeFirst() }
        loginTimes.append(now)
        counted.peakLoginsPerSecond = max(counted.peakLoginsPerSecond, loginTimes.count)
    }

    /// The headers of the WebSocket upgrade, or nil to treat the request as an ordinary one.
    func admitUpgrade(
        _ head: HTTPRequestHead, server: Server, channel: any Channel
    ) -> EventLoopFuture<HTTPHeaders?> {
        let request = Request(head, server: server)
        guard case .guild = server, request.path == "/socket.io/", request.query["EIO"] == "4",
            request.query["transport"] == "websocket"
        else { return loop.makeSucceededFuture(nil) }
        guard let fault = activeFaults.strike(server: server.name, method: "GET", path: request.path, user: nil) else {
            _ = note(request, user: nil, target: head.uri)
            return loop.makeSucceededFuture(HTTPHeaders())
        }
        guard !fault.answers, fault.drop == nil, fault.truncateAfter == nil else {
            upgradeFaults[ObjectIdentifier(channel)] = fault
            return loop.makeSucceededFuture(nil)
        }
        _ = note(request, user: nil, target: head.uri)
        let delay = TimeAmount.nanoseconds(Int64((fault.delay ?? 0) * 1e9))
        return loop.scheduleTask(in: delay) { HTTPHeaders() }.futureResult
    }

    /// Called when an answer goes out.
    func answered(_ number: Int, server: Server, status: Int) {
        openLogins.remove(number)
        guard server != .control else { return }
        counted.statuses[String(status), default: 0] += 1
        if status == 401 { counted.unauthorized[server.name, default: 0] += 1 }
        let index = number - firstRequest
        if log.indices.contains(index) { log[index].status = status }
        changed()
    }

    /// The answer as it goes out, and its `Date`, with what the faults make of them.
    func distorted(_ response: Response, date: String?, of server: Server) -> (Response, String?) {
        guard server != .control, distortion.strikes(activeFaults.distorts) else { return (response, date) }
        var response = response
        // Now and then it is a header.
        if distortion.strikes(0.1) {
            response.headers.append(("Retry-After", distortion.header()))
            return (response, distortion.header())
        }
        if case .bytes(let bytes) = response.body { response.body = .bytes(distortion.distort(bytes)) }
        return (response, date)
    }

    /// The `Date` header of an answer, by the clock of the server it comes from.
    func date(of server: Server) -> String? {
        guard switches.sendsDate else { return nil }
        var offset = 0.0
        if case .guild = server { offset = switches.guildClock }
        return JSONText.httpDate(now + offset)
    }

    func stored(_ part: UploadedPart, order: UploadOrder) -> Response {
        let id = World.newID()
        let file = SimulatedFile(
            id: id, guild: order.guild, name: part.name, mediaType: part.mediaType, size: part.size,
            url: "/api/files/\(id)", hash: part.digest, uploader: order.user)
        world.guilds[order.guild]?.files[id] = World.StoredFile(info: file, content: part.content)
        changed()
        return .json(world.uploaded(file), status: switches.postStatus)
    }

    // MARK: Who

    /// The guild's guard: a bearer that Center knows for this guild.
    func authenticatedUser(_ request: Request, guild: String) -> String? {
        request.bearer.flatMap { introspect($0, guild: guild)?.user }
    }

    /// Asks the Center about a guild token.
    func introspect(_ token: String, guild: String) -> World.Token? {
        guard canIntrospect else { return nil }
        return world.introspect(token, guild: guild, now: now)
    }

    private var canIntrospect: Bool { !switches.guildNeedsCenter || isListening(.center) }

    func unauthorized(_ request: Request) -> Response {
        guard canIntrospect || request.server == .center else { return .error(503, "center is unreachable") }
        return .error(
            401,
            request.bearer == nil && request.query["access_token"] == nil
                ? "missing bearer token" : "invalid or expired token")
    }

    /// The user a request seems to come from, for the log and for faults; says nothing about the token being good.
    private func userOf(_ request: Request) -> String? {
        (request.bearer ?? request.query["access_token"]).flatMap { world.tokens[$0]?.user }
    }

    private func note(_ request: Request, user: String?, target: String) -> Int {
        let number = firstRequest + log.count
        guard request.server != .control else { return -1 }
        counted.requests["\(request.method) \(Self.route(request.path))", default: 0] += 1
        var shown = target
        if let range = shown.range(of: "access_token=") {
            let end = shown[range.upperBound...].firstIndex(of: "&") ?? shown.endIndex
            shown.replaceSubrange(range.upperBound..<end, with: "…")
        }
        log.append(
            LoggedRequest(
                server: request.server.name, method: request.method, target: shown, user: user,
                idempotencyKey: request.headers.first(name: "idempotency-key"),
                hadAuthorization: request.headers.contains(name: "authorization")))
        if log.count > 2 * Self.logLength {
            firstRequest += log.count - Self.logLength
            log.removeFirst(log.count - Self.logLength)
        }
        changed()
        return number
    }

    /// The path with ids replaced, as the key of a counter.
    private static func route(_ path: String) -> String {
        let parts = path.split(separator: "/").map { part in
            part.utf8.count == 36 && part.utf8.filter { $0 == UInt8(ascii: "-") }.count == 4 ? ":id" : String(part)
        }
        return "/" + parts.joined(separator: "/")
    }

    static func answer(of fault: RouteFault) -> Response {
        let status = fault.status ?? (fault.redirect == nil ? 200 : 302)
        var response =
            fault.body.map { Response.text(Array($0.utf8), status: status) }
            ?? Response.error(status, fault.message ?? "fault")
        if let seconds = fault.retryAfter { response.headers.append(("Retry-After", String(seconds))) }
        if let location = fault.redirect { response.headers.append(("Location", location)) }
        return response
    }
}
