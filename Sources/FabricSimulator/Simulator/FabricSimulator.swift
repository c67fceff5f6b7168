import Foundation
import NIOCore
import NIOPosix

/// A Fabric deployment on loopback, inside this process: one Center, any number of guild nodes, and a control port.
///
/// It is the peer the product is tested against, so it follows Documentation/Fabric.md and shares no code with
/// our client. What is not certain there is a switch (``Switches``); what goes wrong is a fault (``Faults``).
///
/// ```swift
/// let sim = try await FabricSimulator.start(.init(guilds: ["sim-guild-1"], tokenLifetime: .seconds(2)))
/// let echo = try await sim.createUser(name: "echo")
/// let human = try await sim.createUser(name: "human")
/// let channel = try await sim.createChannel(name: "general", members: [echo.id, human.id])
/// try await sim.waitForSockets(user: echo.id, joined: channel.id)
/// try await sim.post(as: human.id, in: channel.id, content: "hi")
/// let answer = try await sim.waitForMessage(in: channel.id) { $0.author == echo.id }
/// await sim.stop()
/// ```
///
/// Everything runs on one event loop of NIO's shared group, which is also the executor of this actor: the state needs no
/// lock, and every server sees the same order of things. The shared group is never shut down, because a job of this
/// actor that came after the end of its loop would wait for ever. ``stop()`` must be called in the end.
public actor FabricSimulator {
    /// `http://127.0.0.1:PORT/api`: what clients are given as `centerApiBase`.
    public nonisolated let centerBase: String
    /// `http://127.0.0.1:PORT`: the routes under `/_sim` (see ``ControlRoutes``), and the origin that
    /// redirected downloads are sent to.
    public nonisolated let controlBase: String
    /// Endpoint of each guild, `http://127.0.0.1:PORT`, by node id.
    public nonisolated let endpoints: [String: String]
    /// The guilds' system and command-sync key.
    public nonisolated let systemKey: String

    nonisolated let loop: any EventLoop
    private let spoolDirectory: String
    private let ownsSpoolDirectory: Bool
    private var ports: [Server: Int] = [:]
    private var listeners: [Server: any Channel] = [:]
    var connections: [ObjectIdentifier: (server: Server, channel: any Channel)] = [:]

    var world: World
    var activeFaults = Faults()
    var distortion = Distortion(seed: 0)
    var counted = Counters()
    /// The newest requests; `firstRequest` is the number of the first line.
    var log: [LoggedRequest] = []
    var firstRequest = 0
    var upgradeFaults: [ObjectIdentifier: RouteFault] = [:]

    var sockets: [String: RealtimeSocket] = [:]
    /// Engine ids by channel id.
    var rooms: [String: Set<String>] = [:]
    /// Engine ids by `guild user`.
    var userRooms: [String: Set<String>] = [:]
    /// Since when there has been more than one, by `guild user`.
    var overlapping: [String: Double] = [:]
    /// The numbers of the logins that are not answered.
    var openLogins: Set<Int> = []
    /// When those of the last second came.
    var loginTimes = CircularBuffer<NIODeadline>()
    var held: [String: [HeldEvent]] = [:]

    var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
    var nextWaiter = 0
    var streams: [String: [Int: AsyncStream<SimulatedMessage>.Continuation]] = [:]
    var foreign: [LoggedRequest] = []
    private(set) var stopped = false
    /// Hold the ports while a server is down, so that no other process takes them.
    private var kept: [Int32] = []

    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        loop.executor.asUnownedSerialExecutor()
    }

    /// Starts the servers; when it returns they accept connections.
    ///
    /// Throws ``SimulatorError`` when a port is taken.
    public static func start(_ configuration: Configuration = Configuration()) async throws -> FabricSimulator {
        let chosen = [configuration.centerPort, configuration.guildPort, configuration.controlPort]
        var attempts = chosen.allSatisfy { $0 != 0 } ? 1 : 5
        while true {
            attempts -= 1
            do {
                return try await startOnce(configuration)
            } catch  where attempts > 0 {
                // Somebody took a port between our look and our bind: others may be free.
                continue
            }
        }
    }

    private static func startOnce(_ configuration: Configuration) async throws -> FabricSimulator {
        // The addresses are part of the object, so the ports are found before it exists.
        var taken: Set<Int> = []
        let center = try FreePort.find(configuration.centerPort, &taken)
        let control = try FreePort.find(configuration.controlPort, &taken)
        var guilds: [String: Int] = [:]
        for (index, guild) in configuration.guilds.enumerated() {
            let wanted = configuration.guildPort == 0 ? 0 : configuration.guildPort + index
            guilds[guild] = try FreePort.find(wanted, &taken)
        }
        let simulator = FabricSimulator(configuration, center: center, control: control, guilds: guilds)
        do {
            try await simulator.listen(.center)
            try await simulator.listen(.control)
            for guild in configuration.guilds { try await simulator.listen(.guild(guild)) }
        } catch {
            await simulator.stop()
            throw error
        }
        return simulator
    }

    private init(
        _ configuration: Configuration, center: Int, control: Int, guilds: [String: Int]
    ) {
        loop = MultiThreadedEventLoopGroup.singleton.next()
        centerBase = "http://127.0.0.1:\(center)/api"
        controlBase = "http://127.0.0.1:\(control)"
        systemKey = configuration.systemKey
        endpoints = guilds.mapValues { "http://127.0.0.1:\($0)" }
        ports = [.center: center, .control: control]
        for (guild, port) in guilds { ports[.guild(guild)] = port }
        kept = ports.values.compactMap { FreePort.keep($0) }
        var world = World(switches: configuration.switches, seed: configuration.seed)
        for guild in configuration.guilds {
            world.guildOrder.append(guild)
            world.guilds[guild] = World.Guild(nodeID: guild, endpoint: endpoints[guild] ?? "", name: guild)
        }
        self.world = world
        ownsSpoolDirectory = configuration.uploadDirectory == nil
        spoolDirectory =
            configuration.uploadDirectory
            ?? FileManager.default.temporaryDirectory.appendingPathComponent("fabric-sim-\(UUID().uuidString)").path
    }

    /// Closes all servers and connections, and removes the upload directory. Who still waits gets an error. Harmless
    /// when done already.
    public func stop() async {
        guard !stopped else { return }
        stopped = true
        for server in Array(listeners.keys) { await close(server, abruptly: false) }
        for stream in streams.values.flatMap(\.values) { stream.finish() }
        streams = [:]
        FreePort.letGo(kept)
        kept = []
        changed()
        if ownsSpoolDirectory { try? FileManager.default.removeItem(atPath: spoolDirectory) }
    }

    // MARK: Servers

    /// Seconds since 1970.
    var now: Double { Date().timeIntervalSince1970 }
    /// What the guilds take it for.
    var guildNow: Double { now + switches.guildClock }

    /// Where the next upload goes. The directory is made when the first one comes; if that fails, the upload is only
    /// counted.
    func spoolPath() -> String {
        try? FileManager.default.createDirectory(
            atPath: spoolDirectory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        return "\(spoolDirectory)/\(World.newID())"
    }

    func isListening(_ server: Server) -> Bool { listeners[server] != nil }

    func server(named name: String) throws(SimulatorError) -> Server {
        if name == "center" { return .center }
        guard world.guilds[name] != nil else {
            throw SimulatorError("no server '\(name)'; there are center, \(world.guildOrder.joined(separator: ", "))")
        }
        return .guild(name)
    }

    func listen(_ server: Server) async throws {
        guard !stopped, listeners[server] == nil, let port = ports[server] else { return }
        let channel = try await bind(server, port: port)
        guard !stopped, listeners[server] == nil else { return channel.close(promise: nil) }
        listeners[server] = channel
        changed()
    }

    func close(_ server: Server, abruptly: Bool) async {
        if let listener = listeners.removeValue(forKey: server) { try? await listener.close() }
        let open = connections.values.filter { $0.server == server }.map(\.channel)
        for channel in open {
            if abruptly { Self.reset(channel) } else { channel.close(promise: nil) }
        }
        for channel in open { try? await channel.closeFuture.get() }
        changed()
    }

    func accepted(_ channel: any Channel, server: Server) -> Acceptance {
        counted.connections[server.name, default: 0] += 1
        let id = ObjectIdentifier(channel)
        connections[id] = (server, channel)
        channel.closeFuture.whenComplete { [self] _ in
            assumeIsolated {
                $0.connections[id] = nil
                $0.upgradeFaults[id] = nil
            }
        }
        changed()
        if activeFaults.resets.contains(server.name) { return .reset }
        return activeFaults.blackhole.contains(server.name) ? .swallow : .serve
    }
}
