import ChannelStore
import FabricAPI
import FabricTools
import JSONBytes

/// Sub-discussions: begun, watched and ended by their host.
extension Account {
    /// So long the guests have to hear that they are in the channel before the first message wakes one of them.
    private static let arrival: Duration = .milliseconds(500)

    func restoreSubDiscussions(_ stored: StoredAccount) {
        for discussion in SubDiscussion.read(stored.notes) {
            environment.subDiscussions.put(discussion)
            guestWatch.begin(discussion.key, guests: discussion.guestUsers.count, now: .now)
        }
    }

    func createSubDiscussion(_ call: ToolCall) async throws -> JSONValue {
        let guild = try await guild(of: call)
        let callback = try await callback(of: call)
        let guests = call.arguments.ids("guestUserIds").filter { $0 != inbox.user }
        guard !guests.isEmpty else {
            throw ToolFailure(
                .invalidArgument, "create-sub-discussion: \"guestUserIds\" names nobody but the account itself",
                argument: "guestUserIds")
        }
        var channel = FabricNewChannel(name: call.arguments.need("name"), xType: "discuss", isPublic: false)
        channel.memberUserIds = guests
        let made = try await make(channel, in: guild)
        let key = ChannelKey(guild: guild.nodeId, channel: made.info.id)
        let discussion = SubDiscussion(
            key: key, hostUser: inbox.user, guestUsers: guests, hostGuide: call.arguments.text("hostGuide") ?? "",
            guestGuide: call.arguments.text("guestGuide") ?? "", callback: callback)
        await keep(discussion)
        let result: JSONValue = [
            "guildNodeId": .string(key.guild), "channelId": .string(key.channel), "channel": Self.row(made),
        ]
        do {
            try await Task.sleep(for: Self.arrival)
            let posted = try await say(
                call.arguments.need("greetingMsg"), in: ToolPlace(guild: guild, channel: key.channel))
            return result.with(posted.object ?? [:])
        } catch {
            throw ToolFailure(error, reads: false).afterHalf(
                "the sub-discussion \"\(channel.name)\" (\(key.channel)) was created, but its greeting was not posted",
                done: result)
        }
    }

    /// Where the result is to go.
    private func callback(of call: ToolCall) async throws -> ChannelKey {
        guard let channel = call.arguments.text("callbackChannelId") else {
            guard let turn = call.turn else {
                throw ToolFailure(
                    .invalidArgument,
                    "create-sub-discussion: \"callbackChannelId\" is missing; without a turn nothing stands for it",
                    argument: "callbackChannelId")
            }
            return ChannelKey(guild: turn.guild, channel: turn.channel)
        }
        let target =
            channel.hasPrefix("fabric:") ? OutboundTarget(channel) : OutboundTarget(guild: nil, channel: channel)
        guard let target else {
            throw ToolFailure(
                .invalidArgument,
                "create-sub-discussion: \"callbackChannelId\" must be an id or fabric:<guild>/<channel>",
                argument: "callbackChannelId")
        }
        let named = call.arguments.text("callbackGuildNodeId") ?? target.guild ?? inbox.guild(listing: target.channel)
        if let named { return ChannelKey(guild: named, channel: target.channel) }
        return ChannelKey(guild: try await guild(of: call).nodeId, channel: target.channel)
    }

    func closeSubDiscussion(_ call: ToolCall) async throws -> JSONValue {
        let place = try await place(of: call)
        let key = ChannelKey(guild: place.guild.nodeId, channel: place.channel)
        guard var discussion = environment.subDiscussions[key] else {
            throw ToolFailure(
                .notFound, "\(place.channel) is no sub-discussion that an account of this gateway began, or it is over",
                argument: "channelId")
        }
        guard discussion.hostUser == inbox.user else {
            throw ToolFailure(.refused, "only its host may end a sub-discussion", argument: "channelId")
        }
        var result = place.json.with([
            "callbackGuildNodeId": .string(discussion.callback.guild),
            "callbackChannelId": .string(discussion.callback.channel),
        ])
        if !discussion.isReported {
            // Told once, however often the rest has to be tried again.
            let parent = ToolPlace(
                guild: try await toolGuild(discussion.callback.guild), channel: discussion.callback.channel)
            let text = call.arguments.need("callbackMsg")
            let wakes = settings.commandsSyncKey != nil
            let posted =
                wakes
                ? try await saySystem(text, wakes: inbox.user, in: parent, tool: call.tool.name)
                : try await say(text, in: parent)
            result = result.with(["callback": posted, "woken": .bool(wakes)])
            discussion.isReported = true
            await keep(discussion)
        }
        do {
            try await close(place)
        } catch let error as FabricError where error.isClosedChannel {
            // Somebody was faster.
        } catch {
            throw ToolFailure(error, reads: false).afterHalf(
                "the result was posted, but the channel \(place.channel) was not closed; call it again", done: result)
        }
        environment.subDiscussions.remove(key)
        guestWatch.end(key)
        let forgotten = discussion.forgotten
        await withCheckedContinuation { done in commit([forgotten]) { _ in done.resume() } }
        return result.with(["closed": true])
    }

    private func keep(_ discussion: SubDiscussion) async {
        environment.subDiscussions.put(discussion)
        guestWatch.begin(discussion.key, guests: discussion.guestUsers.count, now: .now)
        armTimer()
        await withCheckedContinuation { done in commit([discussion.kept]) { _ in done.resume() } }
    }

    /// `instructions` of a turn's delivery.
    func guideTail(of turn: Inbox.Turn) -> [UInt8] {
        guard !environment.subDiscussions.isEmpty,
            let guide = environment.subDiscussions[ChannelKey(guild: inbox.nodeID(turn.guild), channel: turn.channel)]?
                .guide(for: inbox.user)
        else { return [] }
        return DeliveryTail.member("instructions", .string(guide))
    }

    // MARK: Guests that are not there

    @inline(never)
    func heard(_ view: FabricMessageView, _ link: GuildLink) {
        guard let channel = view.channelId?.string else { return }
        guestWatch.heard(ChannelKey(guild: link.nodeId, channel: channel), now: .now)
    }

    /// Moves on the discussions in which nobody has said anything for a while, unless it is our own turn.
    func moveOn() {
        guard !guestWatch.isEmpty, !ending.hasBegun else { return }
        for key in guestWatch.due(now: .now, patience: settings.guestPatience) {
            guard !inbox.hasTurn(in: key) else { continue }
            logger.notice(
                "nobody speaks in a sub-discussion; it is moved on", metadata: ["channel": "\(key.channel)"])
            send(
                SendRequest(
                    account: id, to: OutboundTarget(guild: key.guild, channel: key.channel),
                    text: FabricRealtime.forceProceed, media: [], replyTo: nil)
            ) { _ in }
        }
    }
}

extension FabricError {
    fileprivate var isClosedChannel: Bool {
        if case .rejected(_, code: "channel_closed") = kind { true } else { false }
    }
}
