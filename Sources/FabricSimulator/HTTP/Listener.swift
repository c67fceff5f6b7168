import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket

/// Swallows everything: the server that accepts and never answers.
final class Blackhole: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
}

extension FabricSimulator {
    /// What to do with a TCP connection just accepted.
    enum Acceptance: Sendable {
        case serve, reset, swallow
    }

    /// Binds one server to loopback. Port 0 lets the system choose.
    nonisolated func bind(_ server: Server, port: Int) async throws -> any Channel {
        let bootstrap = ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture { try self.prepare(channel, server: server) }
            }
        do {
            return try await bootstrap.bind(host: "127.0.0.1", port: port).get()
        } catch {
            throw SimulatorError(
                "cannot listen on 127.0.0.1:\(port) for \(server.name): \(error); is the port in use? 0 chooses a free one"
            )
        }
    }

    private nonisolated func prepare(_ channel: any Channel, server: Server) throws {
        switch assumeIsolated({ $0.accepted(channel, server: server) }) {
        case .reset:
            FabricSimulator.reset(channel)
        case .swallow:
            try channel.pipeline.syncOperations.addHandler(Blackhole())
        case .serve:
            try channel.pipeline.syncOperations.configureHTTPServerPipeline(
                withPipeliningAssistance: true,
                withServerUpgrade: (
                    upgraders: [upgrader(server)],
                    completionHandler: { context in
                        context.pipeline.syncOperations.removeHandler(name: HTTPConnection.name, promise: nil)
                    }
                ),
                withErrorHandling: true)
            try channel.pipeline.syncOperations.addHandler(
                HTTPConnection(simulator: self, server: server), name: HTTPConnection.name)
        }
    }

    private nonisolated func upgrader(_ server: Server) -> NIOWebSocketServerUpgrader {
        NIOWebSocketServerUpgrader(
            // Messages of a megabyte and more are fine; this only bounds a client gone mad.
            maxFrameSize: 64 * 1024 * 1024,
            automaticErrorHandling: true,
            shouldUpgrade: { [self] channel, head in
                assumeIsolated { $0.admitUpgrade(head, server: server, channel: channel) }
            },
            upgradePipelineHandler: { [self] channel, _ in
                channel.eventLoop.makeCompletedFuture {
                    guard case .guild(let guild) = server else { return }
                    try channel.pipeline.syncOperations.addHandlers([
                        NIOWebSocketFrameAggregator(
                            minNonFinalFragmentSize: 0, maxAccumulatedFrameCount: 100_000,
                            maxAccumulatedFrameSize: 64 * 1024 * 1024),
                        RealtimeConnection(simulator: self, guild: guild),
                    ])
                }
            })
    }

    /// Closes with a TCP reset instead of an orderly end.
    static func reset(_ channel: any Channel) {
        guard let provider = channel as? any SocketOptionProvider else {
            return channel.close(promise: nil)
        }
        provider.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in channel.close(promise: nil) }
    }
}
