extension FabricSimulator {
    /// What a simulator is started with.
    public struct Configuration: Sendable {
        /// Node ids of the guilds; each gets a port of its own.
        public var guilds: [String]
        /// 0 lets the system choose, for every port here.
        public var centerPort: Int
        /// Port of the first guild; the others follow it. 0 lets the system choose each.
        public var guildPort: Int
        public var controlPort: Int
        /// The guilds' `FABRIC_BACKEND_GUILD_COMMANDS_SYNC_KEY`: `x-fabric-system-key` and the key of PUT /commands.
        public var systemKey: String
        public var switches: Switches
        /// Seed of the turn engine's shuffles.
        public var seed: UInt64
        /// Where kept uploads go; nil makes a private directory that ``FabricSimulator/stop()`` removes.
        public var uploadDirectory: String?

        public init(
            guilds: [String] = ["sim-guild-1"], tokenLifetime: Duration = .seconds(900), centerPort: Int = 0,
            guildPort: Int = 0, controlPort: Int = 0, systemKey: String = "sim-system-key",
            switches: Switches = Switches(), seed: UInt64 = 1, uploadDirectory: String? = nil
        ) {
            self.guilds = guilds
            self.centerPort = centerPort
            self.guildPort = guildPort
            self.controlPort = controlPort
            self.systemKey = systemKey
            self.switches = switches
            self.switches.tokenLifetime = tokenLifetime.inSeconds
            self.seed = seed
            self.uploadDirectory = uploadDirectory
        }
    }
}

/// Why the simulator could not do what a test asked.
public struct SimulatorError: Error, Equatable, CustomStringConvertible {
    /// What failed, where, and what to do about it.
    public let description: String

    init(_ description: String) { self.description = description }
}

extension Duration {
    /// The whole duration in seconds.
    var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}
