import ChannelStore
import FabricAccounts
import JSONBytes
import Timing

/// The commands about sharing: see `gateway_channel.h`, 5.
extension PluginInstance {
    /// The longest that draining may be given; ours.
    private static let longestDrain = 86_400.0

    func sharingStatus() -> RequestResult {
        guard let state = sharing else { return RequestResult(.ok, JSONValue.object(["sharing": false]).serialized) }
        let keeper = state.keeper
        let settings = keeper.settings
        let json: JSONValue = [
            "sharing": true, "gateway": .string(keeper.member.gateway), "member": .string(keeper.member.id),
            "draining": .bool(keeper.isDraining), "owned": .int(Int64(keeper.held)),
            "unowned": keeper.report.map { .int(Int64($0.unowned)) } ?? .null,
            "database": [
                "answers": .bool(state.answers?.isGood ?? false), "refuses": .bool(state.isRefused),
                "problem": .string(state.problem),
                "place": setup?.database.map { .string($0.description) } ?? .null,
                "schema": (setup?.configuration.sharedStore?.schema).map { .string($0) } ?? .null,
                "since": state.answers.map { Self.time($0.since) } ?? .null,
                "clockDifferenceSeconds": state.clockDifference.map { .double($0) } ?? .null,
            ],
            "lease": [
                "remainingSeconds": state.clock.remaining.map { .double(max(0, $0.inSeconds)) } ?? .null,
                "leaseSeconds": .double(settings.member.leaseSeconds), "beatSeconds": .double(settings.beat.inSeconds),
            ],
            "namesakes": .array(keeper.namesakes.map { .string($0) }),
            "members": .array((keeper.report?.members ?? []).map { row($0, keeper) }),
            "accounts": .array(keeper.records.filter(\.value.isWanted).keys.sorted().map { accountRow($0, keeper) }),
        ]
        return RequestResult(.ok, json.serialized)
    }

    private func row(_ row: ClusterReport.Row, _ keeper: LeaseKeeper) -> JSONValue {
        let member = row.member
        let isThis = member.id == keeper.member.id
        return [
            "gateway": .string(member.gateway), "member": .string(member.id), "this": .bool(isThis),
            "host": .string(member.host), "pid": .int(Int64(member.processIdentifier)),
            "version": .string(member.version), "weight": .double(member.weight), "owned": .int(Int64(row.owned)),
            "wanted": .int(Int64(member.wanted)), "draining": .bool(member.isDraining),
            "secondsSinceBeat": .double(row.secondsSinceBeat),
            "sameSettings": .bool(isThis || member.settingsDigest == setup?.settingsDigest),
            "settingsDigest": .string(member.settingsDigest),
            "differingSettings": .array(
                isThis
                    ? []
                    : SharedSettingsDigest.differences(member.settingsDigest, setup?.settingsDigest ?? "").map {
                        .string($0)
                    }),
        ]
    }

    private func accountRow(_ id: String, _ keeper: LeaseKeeper) -> JSONValue {
        let isHere = accounts[id] != nil
        let isMoving = draining[id] != nil
        var gateway = JSONValue.null
        if isHere || isMoving {
            gateway = .string(keeper.member.gateway)
        } else if let name = keeper.records[id]?.runner.name {
            gateway = .string(name)
        }
        return [
            "accountId": .string(id), "here": .bool(isHere), "gateway": gateway,
            "nobody": .bool(!isHere && !isMoving && keeper.isKnownToRunNowhere(id)),
            "state": isHere ? "running" : isMoving ? "stopping" : "standby",
            "reason": .string(isHere ? "" : standbyReason(id)),
        ]
    }

    private static func time(_ seconds: Double) -> JSONValue {
        .string(TimeText.text(seconds))
    }

    /// Gives back everything, and answers when others run it.
    func drain(_ value: JSONValue, _ completion: @escaping Completion) throws(RequestProblem) {
        guard let keeper = sharing?.keeper else { throw Self.notShared("sharing.drain") }
        let seconds = value["withinSeconds"]?.double ?? 60
        guard seconds.isFinite, (0...Self.longestDrain).contains(seconds) else {
            throw RequestProblem(
                .invalid, "\"withinSeconds\" is no number from 0 to 86400", at: "sharing.drain",
                remedy: "leave it out for 60")
        }
        guard let report = keeper.report, keeper.isInForce(at: .now) else {
            throw RequestProblem(
                .unavailable, "\(sharing?.trouble ?? ""): \(sharing?.problem ?? "")", at: "sharing.drain",
                remedy: "mend that first, or stop the gateway", retryable: true)
        }
        guard report.members.contains(where: { $0.member.gateway != keeper.member.gateway && !$0.member.isDraining })
        else {
            throw RequestProblem(
                .unavailable, "no other gateway is there to take the accounts: nobody would run them",
                at: "sharing.drain", remedy: "start another one first, or stop this one without draining",
                retryable: true)
        }
        sharing?.drains += 1
        let number = sharing?.drains ?? 0
        sharing?.draining[number] = completion
        _ = schedule(after: .seconds(seconds)) { instance in
            guard let completion = instance.sharing?.draining.removeValue(forKey: number) else { return }
            completion(instance.drainResult)
        }
        lease(.drain(until: .now.advanced(by: .seconds(seconds))))
    }

    func answerDrains() {
        let waiting = sharing?.draining ?? [:]
        sharing?.draining = [:]
        for completion in waiting.values { completion(drainResult) }
    }

    private var drainResult: RequestResult {
        let keeper = sharing?.keeper
        let held = keeper?.records.filter { $0.value.phase.lease != nil }.keys.map(\.self) ?? []
        let left = Set(held).union(keeper?.given ?? []).sorted()
        let json: JSONValue = ["drained": .bool(left.isEmpty), "left": .array(left.map { .string($0) })]
        return RequestResult(.ok, json.serialized)
    }

    func undrain() throws(RequestProblem) -> RequestResult {
        guard sharing != nil else { throw Self.notShared("sharing.undrain") }
        lease(.undrain)
        return RequestResult(.ok, Array("{}".utf8))
    }

    private static func notShared(_ command: String) -> RequestProblem {
        RequestProblem(
            .invalid, "this gateway shares its accounts with no other", at: command,
            remedy: "a store for several gateways is configured at channels.fabric.store.postgresql")
    }
}
