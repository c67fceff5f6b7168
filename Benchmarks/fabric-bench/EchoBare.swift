import ArgumentParser
import FabricAPI
import Foundation
import HTTPTransfer
import Locking
import SocketIO

/// The reference of `turn`: logs in, joins its channels, and answers what it hears with a post; no lane, no store, no host.
struct EchoBare: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "echo-bare", shouldDisplay: false)
    @Option var center: String
    @Option var keys: String

    func run() throws {
        let loop = try RealtimeLoop()
        let http = try HTTPTransfer()
        let keys = self.keys.split(separator: ",").map(String.init)
        let center = try FabricCenter(base: self.center, http: http)
        let listeners = try waitFor {
            var listeners: [Listener] = []
            for key in keys { listeners.append(try await Listener.start(key, center, http, loop)) }
            return listeners
        }
        say("ready")
        withExtendedLifetime(listeners) { waitForEnd() }
    }

    private final class Listener: SocketIODelegate {
        private let guild: FabricGuild
        private let token: String
        private let user: String
        private let channels: [String]
        private let joined = Locked<CheckedContinuation<Void, Never>?>(nil)

        init(_ guild: FabricGuild, _ token: String, _ user: String, _ channels: [String]) {
            self.guild = guild
            self.token = token
            self.user = user
            self.channels = channels
        }

        static func start(
            _ key: String, _ center: FabricCenter, _ http: HTTPTransfer, _ loop: RealtimeLoop
        ) async throws -> Listener {
            let session = try await center.login(apiKey: key)
            guard let info = session.guilds.first, let token = session.guildAccessTokens[info.nodeId] else {
                throw ValidationError("no guild")
            }
            let guild = try FabricGuild(nodeId: info.nodeId, endpoint: info.endpoint, http: http)
            let channels = try await guild.channels(token: token).map(\.id)
            let listener = Listener(guild, token, session.user.id, channels)
            var configuration = try SocketIOClient.Configuration(url: guild.realtimeURL)
            configuration.namespace = guild.realtimeNamespace
            let client = SocketIOClient(
                configuration: configuration, loop: loop,
                auth: { _ in FabricRealtime.authentication(token: token) }, delegate: listener)
            await withCheckedContinuation { joined in
                listener.joined.withLock { $0 = joined }
                Task { await client.connect() }
            }
            return listener
        }

        func socketIO(_ client: SocketIOClient, received event: borrowing SocketIOEvent) {
            guard event.isNamed(FabricRealtime.messageCreated), let argument = event.argument(0),
                let message = FabricMessageView(argument), message.author?.string != user,
                let channel = message.channelId?.string, let content = message.content?.string
            else { return }
            let (id, guild, token) = (message.id.string ?? "", guild, token)
            Task {
                _ = try await guild.post(
                    channel: channel, FabricOutgoingMessage(content: "echo: " + content), idempotencyKey: id,
                    token: token)
            }
        }

        func socketIO(_ client: SocketIOClient, changed state: SocketIOState) {
            guard case .connected = state else { return }
            client.assumeIsolated { client in
                for channel in channels {
                    _ = try? client.emit(
                        FabricRealtime.join, [.json(FabricRealtime.channelArgument(channel))], ackTimeout: .seconds(30)
                    ) { _ in self.joined.withLock { $0.take() }?.resume() }
                }
            }
        }
    }
}
