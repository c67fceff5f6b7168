import NIOCore

/// Center's routes.
extension FabricSimulator {
    /// The answer to a request whose body is there.
    func serve(_ request: Request) -> EventLoopFuture<Response> {
        switch request.server {
        case .center: return loop.makeSucceededFuture(center(request))
        case .guild(let guild): return loop.makeSucceededFuture(self.guild(request, guild))
        case .control:
            let promise = loop.makePromise(of: Response.self)
            promise.completeWithTask { await self.control(request) }
            return promise.futureResult
        }
    }

    private func center(_ request: Request) -> Response {
        switch (request.method, request.path) {
        case ("POST", "/api/auth/agent/login"):
            guard let key = request.object["apiKey"] as? String, let id = world.keys[key], let user = world.users[id]
            else {
                counted.refusedLogins += 1
                return .error(401, "invalid api key")
            }
            counted.logins[id, default: 0] += 1
            return .json(session(of: user, withGuilds: true), status: switches.postStatus)
        case ("POST", "/api/auth/refresh"):
            guard let token = request.object["refreshToken"] as? String, let id = world.refreshTokens[token],
                let user = world.users[id]
            else { return .error(401, "invalid refresh token") }
            counted.refreshes += 1
            world.refreshTokens[token] = nil
            return .json(session(of: user, withGuilds: false), status: switches.postStatus)
        case ("GET", "/api/auth/me/guilds"):
            guard let user = centerUser(request) else { return unauthorized(request) }
            return .json(world.guildArrays(of: user, without: activeFaults.missingTokens, now: now))
        case ("GET", "/api/auth/me"):
            guard let user = centerUser(request) else { return unauthorized(request) }
            return .json(["id": user.id, "email": user.email, "name": user.name])
        case ("POST", "/api/auth/logout"):
            return .json(["ok": true], status: switches.postStatus)
        default:
            return .noRoute(request)
        }
    }

    private func session(of user: SimulatedUser, withGuilds: Bool) -> [String: any Sendable] {
        let access = world.issueToken(user: user.id, guild: nil, now: now)
        let refresh = "frt_" + TokenText.random(bytes: 32)
        world.refreshTokens[refresh] = user.id
        // Only the newest few thousand are worth remembering in a long run.
        if world.refreshTokens.count > 50_000 { world.refreshTokens = [refresh: user.id] }
        var object = world.session(of: user, access: access, refresh: refresh, now: now)
        if withGuilds {
            object.merge(world.guildArrays(of: user, without: activeFaults.missingTokens, now: now)) { old, _ in old }
        }
        return object
    }

    private func centerUser(_ request: Request) -> SimulatedUser? {
        guard let token = request.bearer, let found = world.introspect(token, guild: nil, now: now) else {
            return nil
        }
        return world.users[found.user]
    }
}
