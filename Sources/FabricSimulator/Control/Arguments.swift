import Foundation

/// What a control request says, from its body or its query.
struct Arguments {
    private let object: [String: Any]
    private let query: [String: String]

    init(_ request: Request) {
        object = request.object
        query = request.query
    }

    func text(_ key: String) -> String? { object[key] as? String ?? query[key] }

    func need(_ key: String) throws(SimulatorError) -> String {
        guard let value = text(key) else { throw SimulatorError("'\(key)' is missing") }
        return value
    }

    func list(_ key: String) -> [String]? { object[key] as? [String] }

    func bool(_ key: String) -> Bool? { object[key] as? Bool ?? query[key].map { $0 == "true" || $0 == "1" } }

    func number(_ key: String) -> Double? {
        (object[key] as? NSNumber)?.doubleValue ?? query[key].flatMap(Double.init)
    }

    /// 10 seconds unless said otherwise.
    var timeout: Duration { .seconds(number("timeout") ?? 10) }
}

/// What `GET /_sim` and `fabric-sim run` show.
public struct Overview: Sendable, Codable {
    public let center: String
    public let control: String
    /// Endpoint by node id.
    public let guilds: [String: String]
    public let systemKey: String
    public let users: [SimulatedUser]
    public let channels: [SimulatedChannel]
}

extension FabricSimulator {
    /// Bases, users with their API keys, channels.
    public var overview: Overview {
        Overview(
            center: centerBase, control: controlBase, guilds: endpoints, systemKey: systemKey, users: users,
            channels: world.guildOrder.flatMap { world.guilds[$0]?.channels ?? [] }
                .compactMap { world.channels[$0]?.info })
    }

    /// The id of a user named by id or by name.
    public func user(_ name: String) throws(SimulatorError) -> String {
        if world.users[name] != nil { return name }
        guard let id = world.users.values.filter({ $0.name == name }).map(\.id).min() else {
            throw SimulatorError("no user '\(name)'")
        }
        return id
    }

    func users(_ arguments: Arguments, _ key: String) throws(SimulatorError) -> [String] {
        var ids: [String] = []
        for name in arguments.list(key) ?? [] { ids.append(try user(name)) }
        return ids
    }

    func channelID(_ arguments: Arguments) throws(SimulatorError) -> String {
        let name = try arguments.need("channel")
        if world.channels[name] != nil { return name }
        guard let found = world.channels.values.first(where: { $0.info.name == name }) else {
            throw SimulatorError("no channel '\(name)'")
        }
        return found.info.id
    }

    func server(_ arguments: Arguments) throws(SimulatorError) -> Server {
        try server(named: arguments.text("server") ?? arguments.text("guild") ?? world.guildOrder.first ?? "center")
    }

    func file(_ arguments: Arguments) throws(SimulatorError) -> SimulatedFile {
        let name = try arguments.need("name")
        let type = arguments.text("mediaType") ?? "application/octet-stream"
        let guild = arguments.text("guild")
        if let text = arguments.text("text") {
            return putFile(guild: guild, name: name, mediaType: type, bytes: Array(text.utf8))
        }
        if let encoded = arguments.text("base64") {
            guard let data = Data(base64Encoded: encoded) else { throw SimulatorError("'base64' is not base64") }
            return putFile(guild: guild, name: name, mediaType: type, bytes: Array(data))
        }
        guard let size = arguments.number("size"), size >= 0, size < 1e15 else {
            throw SimulatorError("one of 'text', 'base64' and 'size' is needed")
        }
        return putFile(guild: guild, name: name, mediaType: type, generated: GeneratedContent(size: Int64(size)))
    }
}
