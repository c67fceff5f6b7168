import NIOCore
import NIOHTTP1

/// One HTTP connection of one simulated server. All decisions are the simulator's, asked on the one event loop.
final class HTTPConnection: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// Name in the pipeline, for taking it out after an upgrade.
    static let name = "fabric-sim.http"

    private enum State {
        case idle
        case collecting(Ticket, Request)
        case uploading(Ticket, UploadIntake)
        /// The answer is under way or the rest of the body is of no interest.
        case discarding
    }

    /// JSON bodies larger than this get 413: four times any message the tests send.
    private static let maximumBody = 64 * 1024 * 1024
    /// Bytes read from a file for one write.
    private static let pieceSize = 256 * 1024

    private let simulator: FabricSimulator
    private let server: Server
    private var state = State.idle
    private var keepsAlive = true
    private var reader: ContentReader?
    private var remaining: Int64 = 0
    private var closesAfterBody = false
    private var trickle: Double?
    private var pumping = false

    init(simulator: FabricSimulator, server: Server) {
        self.simulator = simulator
        self.server = server
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): begin(head, context)
        case .body(let bytes): take(bytes, context)
        case .end: end(context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if case .uploading(_, let intake) = state { intake.abandon() }
        reader?.close()
        reader = nil
        state = .idle
        context.fireChannelInactive()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        pump(context)
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    // MARK: Request

    private func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        keepsAlive = head.isKeepAlive
        let server = server
        let channel = context.channel
        let admission = simulator.assumeIsolated { $0.admit(head, server: server, channel: channel) }
        switch admission {
        case .collect(let ticket):
            state = .collecting(ticket, Request(head, server: server))
        case .upload(let ticket, let order):
            guard let intake = UploadIntake(order, contentType: head.headers.first(name: "content-type") ?? "") else {
                return answer(.error(400, "Multipart: Boundary not found"), ticket, context)
            }
            state = .uploading(ticket, intake)
        case .answer(let ticket, let response):
            return answer(response, ticket, context)
        case .drop:
            return context.close(promise: nil)
        case .ignore:
            state = .discarding
            return
        }
        if head.headers.first(name: "expect")?.lowercased() == "100-continue" {
            context.writeAndFlush(
                wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
        }
    }

    private func take(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        switch state {
        case .collecting(let ticket, var request):
            // Freed before the append, so that the array grows in place.
            state = .discarding
            request.body.append(contentsOf: bytes.readableBytesView)
            guard request.body.count <= Self.maximumBody else {
                return answer(.error(413, "request entity too large"), ticket, context)
            }
            state = .collecting(ticket, request)
        case .uploading(let ticket, let intake):
            if let refusal = intake.take(bytes) {
                intake.abandon()
                answer(refusal, ticket, context)
            }
        case .idle, .discarding: break
        }
    }

    private func end(_ context: ChannelHandlerContext) {
        switch state {
        case .collecting(let ticket, let request):
            state = .discarding
            let future = simulator.assumeIsolated { $0.serve(request) }
            let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
            future.assumeIsolated().whenComplete { result in
                let response = (try? result.get()) ?? .error(500, "the simulator failed")
                self.answer(response, ticket, loopBound.value)
            }
        case .uploading(let ticket, let intake):
            state = .discarding
            switch intake.finish() {
            case .success(let part):
                let order = intake.order
                answer(simulator.assumeIsolated { $0.stored(part, order: order) }, ticket, context)
            case .failure(let refusal):
                answer(refusal.response, ticket, context)
            }
        case .idle, .discarding: break
        }
    }

    // MARK: Answer

    private func answer(_ response: Response, _ ticket: Ticket, _ context: ChannelHandlerContext) {
        state = .discarding
        guard let fault = ticket.fault else { return write(response, ticket, nil, context) }
        let isReplaced = fault.answers && fault.isProcessed == true
        let response = isReplaced ? FabricSimulator.answer(of: fault) : response
        guard let delay = fault.delay, delay > 0 else { return write(response, ticket, fault, context) }
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(Int64(delay * 1e9))) {
            self.write(response, ticket, fault, loopBound.value)
        }
    }

    private func write(_ response: Response, _ ticket: Ticket, _ fault: RouteFault?, _ context: ChannelHandlerContext) {
        guard context.channel.isActive, fault?.drop != .after else {
            simulator.assumeIsolated { _ = $0.openLogins.remove(ticket.number) }
            return context.close(promise: nil)
        }
        let server = server
        let (response, date) = simulator.assumeIsolated {
            $0.answered(ticket.number, server: server, status: response.status)
            return $0.distorted(response, date: $0.date(of: server), of: server)
        }
        var head = HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: response.status))
        for (name, value) in response.headers { head.headers.add(name: name, value: value) }
        let size: Int64
        switch response.body {
        case .bytes(let bytes): size = Int64(bytes.count)
        case .content(_, let count): size = count
        }
        if let date { head.headers.add(name: "Date", value: date) }
        head.headers.replaceOrAdd(name: "Content-Length", value: String(size))
        if !keepsAlive { head.headers.replaceOrAdd(name: "Connection", value: "close") }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        remaining = fault?.truncateAfter.map { min(Int64($0), size) } ?? size
        closesAfterBody = fault?.truncateAfter != nil
        trickle = fault?.trickle
        switch response.body {
        case .bytes(let bytes): reader = ContentReader(.memory(bytes))
        case .content(let content, _): reader = ContentReader(content)
        }
        pump(context)
    }

    /// Writes the body as fast as the peer takes it.
    private func pump(_ context: ChannelHandlerContext) {
        // Flushing may raise the writability event within itself.
        guard !pumping else { return }
        pumping = true
        defer { pumping = false }
        while reader != nil, context.channel.isActive {
            guard remaining > 0 else { return finishAnswer(context) }
            guard context.channel.isWritable else { return context.flush() }
            let size = trickle == nil ? Int64(Self.pieceSize) : 1
            var piece = reader?.next(upTo: Int(min(size, remaining))) ?? ByteBuffer()
            guard piece.readableBytes > 0 else {
                // A file that is shorter than announced: the only honest end is a broken connection.
                reader?.close()
                reader = nil
                return context.close(promise: nil)
            }
            if Int64(piece.readableBytes) > remaining, let cut = piece.readSlice(length: Int(remaining)) { piece = cut }
            remaining -= Int64(piece.readableBytes)
            context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(piece))), promise: nil)
            if let trickle { return goOn(after: trickle, context) }
        }
    }

    private func goOn(after seconds: Double, _ context: ChannelHandlerContext) {
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(Int64(seconds * 1e9))) {
            self.pump(loopBound.value)
        }
    }

    private func finishAnswer(_ context: ChannelHandlerContext) {
        reader?.close()
        reader = nil
        if closesAfterBody {
            context.flush()
            return context.close(promise: nil)
        }
        state = .idle
        let closes = !keepsAlive
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { _ in
            if closes { loopBound.value.close(promise: nil) }
        }
    }
}
