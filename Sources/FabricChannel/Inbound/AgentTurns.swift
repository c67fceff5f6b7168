import ChannelStore

/// In which channels the agents of this instance have turns: one that may be awaited in a channel lets those end first, for what
/// they say tells whose turn it is.
///
/// Confined to the realtime loop, as `AgentDirectory` is.
// Unchecked: only code on the loop touches it.
final class AgentTurns: @unchecked Sendable {
    private var accounts: [ChannelKey: Set<String>] = [:]

    func begin(_ channel: ChannelKey, _ account: String) {
        accounts[channel, default: []].insert(account)
    }

    func end(_ channel: ChannelKey, _ account: String) {
        guard accounts[channel]?.remove(account) != nil else { return }
        if accounts[channel]?.isEmpty ?? false { accounts[channel] = nil }
    }

    /// The account ends, or begins anew.
    func forget(_ account: String) {
        for channel in accounts.filter({ $0.value.contains(account) }).keys { end(channel, account) }
    }

    func hasAny(in channel: ChannelKey) -> Bool { accounts[channel] != nil }
}
