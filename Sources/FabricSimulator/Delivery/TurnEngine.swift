/// Whose turn it is in a `discuss` or `work` channel.
///
/// A plain value: events in, the speaker out. Order of the first round is the order of joining; the head of the order
/// is shuffled at the end of each round by the generator given.
struct TurnEngine: Sendable, Equatable {
    /// Members in the rotation, in the order of this round.
    private(set) var order: [String] = []
    /// Members outside the rotation: woken only by a mention, for one turn.
    private(set) var bypass: [String] = []
    /// The member who must speak now; nil while the channel idles.
    var speaker: String? {
        if let frame = frames.last { return frame[0] }
        guard active, pointer < order.count else { return nil }
        return order[pointer]
    }

    private var active = false
    private var pointer = 0
    private var silent: Set<String> = []
    private var lastNormal: String?
    /// Trailing members of this round who had nothing to say.
    private var trailing: [String] = []
    /// Sub-rotations opened by mentions, innermost last; none is ever empty.
    private var frames: [[String]] = []

    /// The real guild allows the root and four sub-rotations; the oldest of these is dropped when there are more.
    static let maximumFrames = 4

    init(members: [String], bypass: [String] = []) {
        self.bypass = bypass
        order = members.filter { !bypass.contains($0) }
    }

    mutating func add(_ member: String, bypassing: Bool = false) {
        guard !order.contains(member), !bypass.contains(member) else { return }
        if bypassing { bypass.append(member) } else { order.append(member) }
    }

    mutating func remove(_ member: String) {
        bypass.removeAll { $0 == member }
        frames = frames.map { $0.filter { $0 != member } }.filter { !$0.isEmpty }
        silent.remove(member)
        trailing.removeAll { $0 == member }
        guard let index = order.firstIndex(of: member) else { return }
        order.remove(at: index)
        if index < pointer { pointer -= 1 }
        if pointer >= order.count {
            // The round ends with the member who left.
            pointer = 0
            trailing = []
        }
        if order.isEmpty { active = false }
    }

    /// Moves a member out of the rotation.
    mutating func moveToBypass(_ member: String) {
        guard order.contains(member) else { return }
        remove(member)
        bypass.append(member)
    }

    /// A normal message. Anyone may write; only the speaker's own message moves the rotation on.
    mutating func message<R: RandomNumberGenerator>(from author: String, mentions: [String], using random: inout R) {
        silent.removeAll()
        guard active || !frames.isEmpty else {
            guard !order.isEmpty else { return }
            active = true
            pointer = 0
            trailing = []
            lastNormal = author
            // The one who started it has just spoken, so the next in order begins.
            if order[pointer] == author, order.count > 1 { pointer = 1 }
            push(mentions, from: author)
            return
        }
        guard author == speaker else { return }
        advance(saidSomething: true, using: &random)
        push(mentions, from: author)
    }

    /// `/no-reply`. Returns true when it moved the rotation (it does nothing from anyone but the speaker).
    mutating func noReply<R: RandomNumberGenerator>(from author: String, using random: inout R) -> Bool {
        guard author == speaker else { return false }
        silent.insert(author)
        advance(saidSomething: false, using: &random)
        if frames.isEmpty, !order.isEmpty, silent.isSuperset(of: order) {
            active = false
            silent.removeAll()
            trailing = []
        }
        return true
    }

    /// `/force-proceed`: the present speaker is passed over.
    mutating func forceProceed<R: RandomNumberGenerator>(using random: inout R) {
        guard speaker != nil else { return }
        advance(saidSomething: false, using: &random)
    }

    private mutating func push(_ mentions: [String], from author: String) {
        let frame = mentions.filter { $0 != author && (order.contains($0) || bypass.contains($0)) }
        guard !frame.isEmpty else { return }
        frames.append(frame)
        if frames.count > Self.maximumFrames { frames.removeFirst() }
    }

    private mutating func advance<R: RandomNumberGenerator>(saidSomething: Bool, using random: inout R) {
        if !frames.isEmpty {
            let last = frames.count - 1
            frames[last].removeFirst()
            if frames[last].isEmpty { frames.removeLast() }
            return
        }
        guard pointer < order.count else { return }
        if saidSomething {
            lastNormal = order[pointer]
            trailing = []
        } else {
            trailing.append(order[pointer])
        }
        pointer += 1
        guard pointer >= order.count else { return }
        var head = order.filter { !trailing.contains($0) }
        head.shuffle(using: &random)
        if head.count > 1, head[0] == lastNormal { head.swapAt(0, head.count - 1) }
        order = head + trailing
        if order.count > 1, order[0] == lastNormal { order.swapAt(0, 1) }
        trailing = []
        pointer = 0
    }
}

/// A small seeded generator, so that shuffles repeat from run to run (SplitMix64, public domain algorithm by Vigna).
struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
