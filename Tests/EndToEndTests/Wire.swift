import FabricChannel
import FabricSimulator
import Foundation
import JSONBytes

/// What a guild could send, spelled out; and looking at things that nobody announces.
extension World {
    /// A `message.created` as the guild would send it, with `seq` as it stands there.
    static func event(
        _ channel: SimulatedChannel, from author: SimulatedUser, seq: String, content: String, wakeup: Bool = true,
        createdAt: String? = nil
    ) -> String {
        let id = UUID().uuidString.lowercased()
        let time = createdAt.map { #","createdAt":"\#($0)""# } ?? ""
        return
            #"42/realtime,["message.created",{"id":"\#(id)","channelId":"\#(channel.id)","guildId":"\#(channel.guild)","#
            + #""seq":\#(seq),"content":"\#(content)","authorUserId":"\#(author.id)","xType":"\#(channel.type.rawValue)""#
            + #","wakeup":\#(wakeup)\#(time)}]"#
    }

    /// A row of a channel list, with `lastSeq` as it stands there.
    static func row(_ channel: SimulatedChannel, lastSeq: String) -> String {
        #"{"id":"\#(channel.id)","guildId":"\#(channel.guild)","name":"\#(channel.name)","xType":"\#(channel.type.rawValue)""#
            + #","closed":false,"lastSeq":\#(lastSeq),"createdAt":"\#(channel.createdAt)"}"#
    }

    /// The status of an account when it passes `test`; asked for again and again, as it changes by itself with time.
    @discardableResult
    func status(
        _ what: String, of account: String = "agent", timeout: Duration = .seconds(60),
        until test: (JSONValue) -> Bool
    ) async throws -> JSONValue {
        let deadline = ContinuousClock.now.advanced(by: timeout)
        var last = JSONValue.null
        while ContinuousClock.now < deadline {
            last = try await status(account).first ?? .null
            if test(last) { return last }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw TestFailure("timed out waiting for \(what); \(String(decoding: last.serialized, as: UTF8.self))")
    }

    /// Ends every turn at once, with nothing to say.
    func settleAll() {
        gateway.onWake.withLock { hook in
            hook.call = { [plugin] delivery in plugin.settle(delivery.id, .finished) }
        }
    }

    /// The part of an account's status that is about one guild.
    static func guild(_ status: JSONValue, _ name: String = World.guild) -> JSONValue? {
        status["guilds"]?.array?.first { $0["nodeId"]?.string == name }
    }

    /// How often an agent's channel list was asked for.
    func lists(of user: SimulatedUser) async -> Int {
        await sim.requests.count { $0.method == "GET" && $0.user == user.id && $0.target.hasPrefix("/api/channels?") }
    }

    /// Waits until so many more lists were answered.
    func nextLists(_ count: Int, of user: SimulatedUser) async throws {
        let before = await lists(of: user)
        _ = try await sim.wait(for: "\(count) channel lists", timeout: .seconds(60)) { sim in
            sim.requests.count {
                $0.method == "GET" && $0.user == user.id && $0.target.hasPrefix("/api/channels?") && $0.status != nil
            } >= before + count ? true : nil
        }
    }

    /// Waits until `texts` were delivered, and tells all texts that were, in order.
    func heard(_ texts: [String], timeout: Duration = .seconds(60)) async throws -> [String] {
        let wanted = Set(texts)
        do {
            return try await gateway.wait(for: "\(texts)", timeout: timeout) { gateway in
                let heard = gateway.deliveries.map(\.text)
                return wanted.isSubset(of: heard) ? heard : nil
            }
        } catch {
            let missing = wanted.subtracting(gateway.deliveries.map(\.text)).sorted()
            throw TestFailure("\(error); not heard: \(missing); the log's end:\n\(log.text.suffix(4000))")
        }
    }
}
