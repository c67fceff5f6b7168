/// Switches, faults and what can be read off.
extension FabricSimulator {
    public var switches: Switches { world.switches }

    /// Changes switches; they hold for what happens from now on.
    public func updateSwitches(_ body: @Sendable (inout Switches) -> Void) { body(&world.switches) }

    /// Guild tokens issued from now on live this long.
    public func setTokenLifetime(_ lifetime: Duration) { world.switches.tokenLifetime = lifetime.inSeconds }

    /// Makes guild tokens expire at once: of one user or all, of one guild or all. Live sockets are cut only if the
    /// switch `cutAtExpiry` is on.
    ///
    /// - Parameter centerToo: also the Center's access tokens.
    public func expireTokens(user: String? = nil, guild: String? = nil, centerToo: Bool = false) {
        world.expireTokens(user: user, guild: guild, centerToo: centerToo, now: now)
        guard switches.cutAtExpiry else { return }
        for socket in matching(guild: guild, user: user) where socket.info.user != nil { cut(socket.info.engineID) }
    }

    // MARK: Faults

    /// The faults in force; their counts go down as they strike.
    public nonisolated var faults: FaultControl { FaultControl(simulator: self) }

    public func currentFaults() -> Faults { activeFaults }

    public func setFaults(_ faults: Faults) {
        if faults.distortionSeed != activeFaults.distortionSeed { distortion = Distortion(seed: faults.distortionSeed) }
        activeFaults = faults
        releaseHeldEvents()
        changed()
    }

    public func updateFaults(_ body: @Sendable (inout Faults) -> Void) {
        var faults = activeFaults
        body(&faults)
        setFaults(faults)
    }

    /// Closes the sockets of a guild (of a user) now: by TCP reset when `abruptly`, else by closing the connection.
    public func dropSockets(guild: String? = nil, user: String? = nil, abruptly: Bool = false) {
        for socket in matching(guild: guild, user: user) {
            if abruptly { Self.reset(socket.channel) } else { socket.channel.close(promise: nil) }
        }
    }

    /// Sends `41/realtime,` (disconnected by the server) to the sockets and leaves the transport open.
    public func disconnectSockets(guild: String? = nil, user: String? = nil) {
        for socket in matching(guild: guild, user: user) {
            forgetRooms(of: socket.info.engineID)
            sockets[socket.info.engineID]?.info.sid = nil
            send("41/realtime,", to: socket.info.engineID)
        }
    }

    /// The sockets of the moment stay open and pinged but get no events any more; later ones do.
    public func deafen(guild: String? = nil, user: String? = nil) {
        for socket in matching(guild: guild, user: user) { sockets[socket.info.engineID]?.info.deaf = true }
    }

    /// Sends any text frame to the sockets.
    public func sendRaw(_ text: String, guild: String? = nil, user: String? = nil) {
        for socket in matching(guild: guild, user: user) { send(text, to: socket.info.engineID) }
    }

    private func matching(guild: String?, user: String?) -> [RealtimeSocket] {
        sockets.values.filter {
            (guild == nil || $0.info.guild == guild) && (user == nil || $0.info.user == user)
        }
    }

    // MARK: Looking

    /// Realtime connections, oldest first.
    public func sockets(guild: String? = nil) -> [SimulatedSocket] {
        sockets.values.map(\.info).filter { guild == nil || $0.guild == guild }
            .sorted { $0.connectedAt < $1.connectedAt }
    }

    public var counters: Counters { counted }

    /// Begins anew; what overlaps now is counted from now on.
    public func resetCounters() {
        counted = Counters()
        loginTimes.removeAll()
        for name in overlapping.keys { overlapping[name] = now }
    }

    /// By user id: for how many seconds at most it has had more than one authenticated socket in one guild, until now.
    public var overlaps: [String: Double] {
        var result = counted.overlapSeconds
        for (name, since) in overlapping {
            // The guild's name holds no space.
            let user = name.split(separator: " ").dropFirst().joined(separator: " ")
            result[user] = max(result[user] ?? 0, now - since)
        }
        return result
    }

    /// The newest requests, at most 8,192.
    public var requests: [LoggedRequest] { log }

    /// Requests that came to the foreign origin (see ``foreignURL(of:)``).
    public var foreignRequests: [LoggedRequest] { foreign }

    /// A URL of another origin that serves the file without asking for anything, and notes who came with a bearer.
    public nonisolated func foreignURL(of file: SimulatedFile) -> String {
        "\(controlBase)/_foreign/\(file.guild)/\(file.id)"
    }

    /// A new guild token for a user, as a login would give.
    public func issueGuildToken(user: String, guild: String) -> String {
        world.issueToken(user: user, guild: guild, now: now)
    }

    public var users: [SimulatedUser] { world.users.values.sorted { $0.name < $1.name } }
}

/// The faults of a simulator, as something to be set and cleared.
public struct FaultControl: Sendable {
    let simulator: FabricSimulator

    /// Replaces all faults.
    public func set(_ faults: Faults) async { await simulator.setFaults(faults) }

    /// Changes some.
    public func update(_ body: @Sendable (inout Faults) -> Void) async { await simulator.updateFaults(body) }

    /// Adds a fault of chosen requests, after those that are there.
    public func add(_ fault: RouteFault) async { await simulator.updateFaults { $0.routes.append(fault) } }

    /// No faults any more.
    public func clear() async { await simulator.setFaults(Faults()) }

    public var current: Faults { get async { await simulator.currentFaults() } }
}
