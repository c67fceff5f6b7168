import ChannelStore
import FabricAccounts
import Foundation
import SocketIO

/// A shared store for an instance, and its part among those that share it: instead of what the configuration says, for tests.
public struct SharedStoreChoice: Sendable {
    public var store: any SharedStore
    public var gateway: String
    public var weight: Double
    public var beatSeconds: Double
    public var leaseSeconds: Double

    public init(
        _ store: any SharedStore, gateway: String, weight: Double = 1, beatSeconds: Double = 2, leaseSeconds: Double = 8
    ) {
        self.store = store
        self.gateway = gateway
        self.weight = weight
        self.beatSeconds = beatSeconds
        self.leaseSeconds = leaseSeconds
    }
}

/// What an instance has for sharing. Confined to the loop, as the instance is.
struct SharingState {
    let store: any SharedStore
    let clock = LeaseClock()
    let lostTurns = LostTurns()
    var keeper: LeaseKeeper
    var actions: [LeaseKeeper.Action] = []
    var isPerforming = false
    var isOver = false
    var timer: LoopTimer?
    var due: ContinuousClock.Instant?
    /// What other instances gave along for accounts that are about to start here.
    var handovers: [String: Handover] = [:]
    /// Requests to start an account that was handed over: answered when it has started, or waits for a lease.
    var starting: [String: [PluginInstance.Completion]] = [:]
    /// Runs that were ended at once and are being torn down.
    var ended: Set<String> = []
    /// By account on standby: what the gateway was told last.
    var told: [String: String] = [:]
    /// Requests to drain: by number.
    var draining: [UInt64: PluginInstance.Completion] = [:]
    var drains: UInt64 = 0
    /// Beats until it is asked again which users are agents.
    var untilAgents = 0
    /// Whether the last beat was answered, and since when that is so, seconds since 1970.
    var answers: (isGood: Bool, since: Double)?
    var problem = ""
    /// It answers, and does not let this gateway work.
    var isRefused = false
    /// What is the matter with the database, in a few words; the reason is `problem`.
    var trouble: String { isRefused ? "the database refuses this gateway" : "the database does not answer" }
    /// By how much the store's clock is ahead of ours, seconds.
    var clockDifference: Double?

    init(_ choice: SharedStoreChoice, setup: InstanceSetup, version: String) {
        store = choice.store
        let member = Member(
            id: "", gateway: choice.gateway, weight: choice.weight, leaseSeconds: choice.leaseSeconds,
            host: SharedStoreSettings.hostName, processIdentifier: getpid(), version: version,
            settingsDigest: setup.settingsDigest)
        keeper = LeaseKeeper(
            settings: LeaseKeeper.Settings(
                member: member, beat: .seconds(choice.beatSeconds), newID: { UUID().uuidString.lowercased() }))
    }
}
