import FabricAPI
import JSONBytes

/// The slash commands that the gateway offers, and which guild has them already.
///
/// Confined to the realtime loop, which all accounts of an instance share.
// Unchecked: only code on the loop touches it.
final class CommandCatalogue: @unchecked Sendable {
    private struct Guild {
        var synced: [UInt8]?
        var isUnderWay = false
    }

    /// By account; what concerns all stands under the empty name.
    private var lists: [String: [JSONValue]] = [:]
    private(set) var names: Set<String> = []
    /// All of it, as the guilds get it; nil until the gateway has said anything.
    private(set) var whole: JSONValue?
    private var guilds: [String: Guild] = [:]
    /// That the key is missing is said once.
    private var hasComplained = false

    /// Takes the list of an account, or of all.
    func set(_ commands: [JSONValue], for account: String) {
        lists[account] = commands
        var seen: Set<String> = []
        let union = lists.sorted { $0.key < $1.key }.flatMap(\.value).filter {
            seen.insert($0["name"]?.string ?? "").inserted
        }
        names = seen
        whole = .array(union)
    }

    /// What a guild is to be given, if it has something else; it is under way then.
    func begin(_ guild: String) -> JSONValue? {
        guard let whole, guilds[guild]?.isUnderWay != true, guilds[guild]?.synced != whole.serialized else {
            return nil
        }
        guilds[guild, default: Guild()].isUnderWay = true
        return whole
    }

    func ended(_ guild: String, _ commands: JSONValue, isGood: Bool) {
        guilds[guild]?.isUnderWay = false
        if isGood { guilds[guild]?.synced = commands.serialized }
    }

    func mayComplain() -> Bool {
        defer { hasComplained = true }
        return !hasComplained
    }
}

/// One command of a request, checked.
enum CommandEntry {
    /// The entry with its name in the form the guilds get.
    static func read(_ value: JSONValue, number: Int) throws(RequestProblem) -> JSONValue {
        let text = value["name"]?.string ?? ""
        let name = text.hasPrefix("/") ? String(text.dropFirst()) : text
        guard isName(name) else {
            throw RequestProblem(
                .invalid, "the name of a command must be letters, digits, - and _, at most 64",
                at: "commands.sync, commands[\(number)].name", remedy: "give another name")
        }
        return value.with(["name": .string(name), "description": value["description"] ?? ""])
    }

    static func isName(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy {
                switch $0 {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F: true
                default: false
                }
            }
    }
}

/// A message that is a command.
struct SlashCommand: Equatable, Sendable {
    var name: String
    /// What stands behind the name, without white space around it.
    var arguments: String

    /// Nil for a text that is none of the known ones. Mentions before it, as they address somebody in a group, are passed over.
    init?(_ text: String, known: Set<String>) {
        guard !known.isEmpty else { return nil }
        var rest = text[...].drop { $0.isWhitespace }
        while rest.hasPrefix("<@"), let end = rest.firstIndex(of: ">") {
            rest = rest[rest.index(after: end)...].drop { $0.isWhitespace }
        }
        guard rest.first == "/" else { return nil }
        let word = rest.dropFirst().prefix { !$0.isWhitespace }
        guard known.contains(String(word)) else { return nil }
        name = String(word)
        var tail = rest[word.endIndex...].drop { $0.isWhitespace }
        while tail.last?.isWhitespace == true { tail.removeLast() }
        arguments = String(tail)
    }
}
