import NIOCore
import NIOWebSocket

/// One WebSocket of a guild: frames in, Engine.IO text to the simulator. Knows nothing of Fabric.
final class RealtimeConnection: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private let simulator: FabricSimulator
    private let guild: String
    private let engineID = TokenText.random(bytes: 15)
    private var opened = false

    init(simulator: FabricSimulator, guild: String) {
        self.simulator = simulator
        self.guild = guild
    }

    func handlerAdded(context: ChannelHandlerContext) {
        guard context.channel.isActive, !opened else { return }
        opened = true
        let (guild, engineID, channel) = (guild, engineID, context.channel)
        simulator.assumeIsolated { $0.realtimeOpened(engineID, guild: guild, channel: channel) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        let engineID = engineID
        simulator.assumeIsolated { $0.realtimeClosed(engineID) }
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .text:
            let text = String(buffer: frame.unmaskedData)
            let engineID = engineID
            simulator.assumeIsolated { $0.realtimeReceived(engineID, text: text) }
        case .ping:
            let pong = WebSocketFrame(fin: true, opcode: .pong, data: frame.unmaskedData)
            context.writeAndFlush(wrapOutboundOut(pong), promise: nil)
        case .connectionClose:
            let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
            let close = WebSocketFrame(fin: true, opcode: .connectionClose, data: frame.unmaskedData)
            context.writeAndFlush(wrapOutboundOut(close)).assumeIsolated().whenComplete { _ in
                loopBound.value.close(promise: nil)
            }
        default:
            // Binary attachments and pongs carry nothing Fabric uses.
            break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
