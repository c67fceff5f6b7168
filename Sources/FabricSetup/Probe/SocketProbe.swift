import FabricAPI
import SocketIO

/// One connection to a guild's realtime socket, as the plugin would make it: connect, join a channel, leave again.
struct SocketProbe {
    let guild: FabricGuild
    let token: String
    /// PEM file of the authorities to trust instead of the system's.
    let authorities: String?

    /// How long the guild may take to acknowledge the joining; the plugin does not need it either.
    private static let patience = Duration.seconds(5)

    func open(joining channel: FabricChannelInfo?) async -> SetupProbe.Socket {
        var result = SetupProbe.Socket()
        do {
            let loop = try RealtimeLoop()
            defer { loop.shutdown() }
            var configuration = try SocketIOClient.Configuration(url: guild.realtimeURL)
            configuration.namespace = guild.realtimeNamespace
            configuration.certificateAuthorityFile = authorities
            configuration.reconnects = false
            let events = SocketIOEvents()
            let payload = FabricRealtime.authentication(token: token)
            let client = SocketIOClient(
                configuration: configuration, loop: loop, auth: { _ in payload }, delegate: events)
            await client.connect()
            for await happening in events.stream {
                switch happening {
                case .state(.connected):
                    await join(channel, client, &result)
                    await client.disconnect()
                case .state(.disconnected(let reason, _)) where reason != .clientRequested:
                    result.trouble = result.trouble ?? Self.trouble(reason)
                default: break
                }
            }
        } catch {
            result.trouble = SetupProbe.Trouble(
                "the socket cannot be made: \(error)", remedy: "Check the guild's endpoint as Center lists it")
        }
        return result
    }

    private func join(
        _ channel: FabricChannelInfo?, _ client: SocketIOClient, _ result: inout SetupProbe.Socket
    ) async {
        guard let channel else { return }
        do throws(SocketIOError) {
            _ = try await client.emit(
                FabricRealtime.join, [.json(FabricRealtime.channelArgument(channel.id))], ackTimeout: Self.patience)
            result.isAcknowledged = true
        } catch {
            switch error {
            case .acknowledgementTimedOut: break
            case .disconnected(let reason): result.trouble = Self.trouble(reason)
            default:
                result.trouble = SetupProbe.Trouble("joining failed: \(error)", remedy: "Look at the guild's log")
            }
        }
        if result.trouble == nil { result.joined = channel.name ?? channel.id }
    }

    private static func trouble(_ reason: SocketIODisconnect) -> SetupProbe.Trouble {
        let remedy =
            switch reason {
            case .serverDisconnected, .refused, .transportClosed:
                "The guild does not accept the token Center gave: check that it belongs to this Center, and the clocks"
            case .transportFailed(_, let status?):
                "Answer \(status) to the WebSocket upgrade: let the proxy before the guild pass upgrades of /socket.io/"
            case .transportFailed, .timedOut:
                "Check that the guild runs and that its endpoint can be reached from this machine"
            default: "Look at the guild's log"
            }
        return SetupProbe.Trouble("\(reason)", remedy: remedy)
    }
}
