import NIOCore

/// What a test does to the deployment from inside.
extension FabricSimulator {
    /// Creates a user (an agent or a human; Fabric makes no difference) with an API key.
    ///
    /// - Parameter guilds: node ids the user belongs to; nil means all guilds.
    @discardableResult
    public func createUser(name: String, email: String? = nil, guilds: [String]? = nil) async throws -> SimulatedUser {
        for guild in guilds ?? [] where world.guilds[guild] == nil { throw SimulatorError("no guild '\(guild)'") }
        return world.addUser(name: name, email: email, guilds: guilds)
    }

    /// Creates a channel and emits `channel.joined` to every seeded member.
    ///
    /// - Parameters:
    ///   - guild: node id; nil means the first guild.
    ///   - members: user ids; `onDuty` users of a triage channel become members too.
    @discardableResult
    public func createChannel(
        guild: String? = nil, name: String, type: ChannelType = .general, members: [String] = [],
        isPublic: Bool = false, bypass: [String] = [], onDuty: [String] = [], listeners: [String] = [],
        purpose: String? = nil
    ) async throws -> SimulatedChannel {
        let new = World.NewChannel(
            guild: guild ?? world.guildOrder.first ?? "", name: name, type: type, members: members,
            isPublic: isPublic, bypass: bypass, onDuty: onDuty, listeners: listeners, purpose: purpose)
        do {
            let (channel, emissions) = try world.addChannel(new, now: guildNow)
            emit(emissions)
            return channel
        } catch {
            throw SimulatorError("createChannel \(name): \(String(decoding: error.body, as: UTF8.self))")
        }
    }

    /// Stores a message as a user would have posted it, and runs the delivery table.
    ///
    /// Throws ``SimulatorError`` for what the guild would refuse, and for the turn commands, which are not stored
    /// (send those with ``command(as:in:content:)``).
    @discardableResult
    public func post(
        as user: String, in channel: String, content: String, attachments: [SimulatedAttachment] = [],
        replyTo: String? = nil
    ) async throws -> SimulatedMessage {
        let result = try deliver(as: user, in: channel, content: content, attachments: attachments, replyTo: replyTo)
        guard case .stored(let message) = result else {
            throw SimulatorError("'\(content)' is a turn command, which is not stored: use command(as:in:content:)")
        }
        return message
    }

    /// Sends `/no-reply` or `/force-proceed`.
    public func command(as user: String, in channel: String, content: String) async throws {
        _ = try deliver(as: user, in: channel, content: content, attachments: [], replyTo: nil)
    }

    private func deliver(
        as user: String, in channel: String, content: String, attachments: [SimulatedAttachment], replyTo: String?
    ) throws(SimulatorError) -> World.PostResult {
        guard let info = world.channels[channel]?.info else { throw SimulatorError("no channel \(channel)") }
        let new = World.NewMessage(
            guild: info.guild, channel: channel, author: user, content: content, attachments: attachments,
            replyTo: replyTo)
        do {
            let (result, emissions) = try world.post(new, listening: listeningUsers(channel), now: guildNow)
            emit(emissions)
            return result
        } catch {
            throw SimulatorError("post in \(info.name): \(String(decoding: error.body, as: UTF8.self))")
        }
    }

    /// Everything stored in a channel.
    public func history(_ channel: String) -> [SimulatedMessage] { world.channels[channel]?.messages ?? [] }

    public func channel(_ id: String) -> SimulatedChannel? { world.channels[id]?.info }

    /// Adds a member and emits `channel.joined`.
    public func join(_ channel: String, user: String) { emit(world.join(channel, user: user)) }

    /// Removes a member and emits `channel.left`.
    public func leave(_ channel: String, user: String) { emit(world.leave(channel, user: user)) }

    /// Closes a channel: posting gives 409 from now on.
    public func close(channel: String) {
        world.channels[channel]?.info.closed = true
        changed()
    }

    public func setPresence(guild: String, user: String, status: String) {
        world.guilds[guild]?.presence[user] = status
        changed()
        guard switches.emitsPresence else { return }
        emit([
            .guild(
                event: switches.presenceEvent, guild: guild,
                body: JSONText.bytes(["userId": user, "status": status]))
        ])
    }

    /// The presence of a user, as the guild has it.
    public func presence(guild: String, user: String) -> String? { world.guilds[guild]?.presence[user] }

    /// The slash commands as they were synced last; JSON text.
    public func commands(guild: String) -> [UInt8]? { world.guilds[guild]?.commands }

    /// The text of a channel's canvas.
    public func canvas(_ channel: String) -> String? { world.channels[channel]?.canvas?.content }

    /// A user begins to write, or ends.
    public func type(as user: String, in channel: String, isTyping: Bool = true) {
        guard let guild = world.channels[channel]?.info.guild else { return }
        let body: [String: any Sendable] = ["channelId": channel, "userId": user, "isTyping": isTyping]
        emit([.room(event: switches.typingEvent, channel: channel, guild: guild, body: JSONText.bytes(body))])
    }

    /// Edits a message as its author.
    public func edit(_ message: SimulatedMessage, content: String) throws(SimulatorError) {
        do {
            let (_, emission) = try world.edit(
                message.id, in: message.channel, by: message.author, content: content, now: guildNow)
            emit([emission])
        } catch {
            throw SimulatorError("edit: \(String(decoding: error.body, as: UTF8.self))")
        }
    }

    /// Deletes a message as its author.
    public func delete(_ message: SimulatedMessage) throws(SimulatorError) {
        do {
            let (_, emission) = try world.delete(message.id, in: message.channel, by: message.author, now: guildNow)
            emit([emission])
        } catch {
            throw SimulatorError("delete: \(String(decoding: error.body, as: UTF8.self))")
        }
    }

    /// Shares a canvas as a user.
    public func shareCanvas(as user: String, in channel: String, content: String?) {
        guard let guild = world.channels[channel]?.info.guild else { return }
        world.channels[channel]?.canvas = content.map {
            World.Canvas(sharer: user, title: nil, format: "md", content: $0, version: 1)
        }
        var object: [String: any Sendable] = ["channelId": channel, "userId": user]
        if let canvas = world.channels[channel]?.canvas { object["canvas"] = world.wire(canvas) }
        emit([
            .room(
                event: content == nil ? "canvas.removed" : "canvas.updated", channel: channel, guild: guild,
                body: JSONText.bytes(object))
        ])
    }

    /// Makes this user the Center's one administrator (an observer of triage channels).
    public func setAdmin(_ user: String?) { world.admin = user }

    /// Takes the channel back to how it was when `head` was its last message, as a backup does: what was posted later is
    /// gone, and its positions are given out again.
    public func restore(_ channel: String, to head: Int64) {
        world.channels[channel]?.messages.removeAll { $0.seq > head }
        world.channels[channel]?.info.lastSeq = head
        changed()
    }

    /// The address Center tells of a guild, from the next `guilds` array on; whatever it is.
    public func setEndpoint(of guild: String, _ endpoint: String) { world.guilds[guild]?.endpoint = endpoint }

    /// Makes an API key invalid; logins with it get 401. Returns the user's new key.
    public func rotateKey(of user: String) throws -> String {
        guard var found = world.users[user] else { throw SimulatorError("no user \(user)") }
        world.keys[found.apiKey] = nil
        found.apiKey = "fak_" + TokenText.random(bytes: 24)
        world.users[user] = found
        world.keys[found.apiKey] = user
        return found.apiKey
    }

    /// Puts a user into a guild or takes one out; the next `guilds` array shows it.
    public func setGuilds(of user: String, _ guilds: [String]) { world.users[user]?.guilds = guilds }

    /// Puts a file into a guild, ready to be attached.
    @discardableResult
    public func putFile(
        guild: String? = nil, name: String, mediaType: String = "application/octet-stream", bytes: [UInt8]
    ) -> SimulatedFile {
        put(
            guild, name, mediaType, content: .memory(bytes), size: Int64(bytes.count),
            hash: ContentHash.digest(of: bytes))
    }

    /// Puts a file of made-up content into a guild; any size, nothing is held.
    @discardableResult
    public func putFile(
        guild: String? = nil, name: String, mediaType: String = "application/octet-stream",
        generated: GeneratedContent
    ) -> SimulatedFile {
        put(guild, name, mediaType, content: .generated(generated), size: generated.size, hash: nil)
    }

    private func put(
        _ guild: String?, _ name: String, _ mediaType: String, content: FileContent, size: Int64, hash: String?
    ) -> SimulatedFile {
        let guild = guild ?? world.guildOrder.first ?? ""
        let id = World.newID()
        let file = SimulatedFile(
            id: id, guild: guild, name: name, mediaType: mediaType, size: size, url: "/api/files/\(id)", hash: hash,
            uploader: nil)
        world.guilds[guild]?.files[id] = World.StoredFile(info: file, content: content)
        return file
    }

    /// Every file of a guild, uploads included.
    public func files(guild: String? = nil) -> [SimulatedFile] {
        (world.guilds[guild ?? world.guildOrder.first ?? ""]?.files.values).map { $0.map(\.info) } ?? []
    }

    /// The bytes of a small file; nil if there is no such file or an upload was too large to keep.
    public func content(of file: SimulatedFile) -> [UInt8]? {
        guard let stored = world.guilds[file.guild]?.files[file.id], file.size < 1 << 28 else { return nil }
        if case .discarded = stored.content { return nil }
        var reader = ContentReader(stored.content)
        defer { reader.close() }
        var bytes: [UInt8] = []
        while case let piece = reader.next(upTo: 1 << 20), piece.readableBytes > 0 {
            bytes.append(contentsOf: piece.readableBytesView)
        }
        return bytes
    }

    /// Forgets a file, as the retention sweep does: downloads get 404.
    public func removeFile(_ file: SimulatedFile) { world.guilds[file.guild]?.files[file.id] = nil }

    // MARK: Servers

    /// Stops a guild: its port refuses connections, its sockets are closed (`abruptly`: by a TCP reset).
    public func stopGuild(_ guild: String, abruptly: Bool = false) async throws {
        await close(try server(named: guild), abruptly: abruptly)
    }

    /// Starts a stopped guild on the port it had. Rooms are forgotten, everything stored is not.
    public func startGuild(_ guild: String) async throws { try await listen(try server(named: guild)) }

    /// Stops a guild and starts it again after `downFor`.
    public func restartGuild(_ guild: String, downFor: Duration = .zero, abruptly: Bool = false) async throws {
        try await restart(try server(named: guild), downFor: downFor, abruptly: abruptly)
    }

    public func stopCenter(abruptly: Bool = false) async { await close(.center, abruptly: abruptly) }

    public func startCenter() async throws { try await listen(.center) }

    public func restartCenter(downFor: Duration = .zero) async throws {
        try await restart(.center, downFor: downFor, abruptly: false)
    }

    func restart(_ server: Server, downFor: Duration, abruptly: Bool) async throws {
        await close(server, abruptly: abruptly)
        if downFor > .zero {
            try await loop.scheduleTask(in: .nanoseconds(Int64(downFor.inSeconds * 1e9))) {}.futureResult.get()
        }
        try await listen(server)
    }
}
