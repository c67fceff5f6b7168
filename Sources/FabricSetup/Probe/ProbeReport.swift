import JSONBytes

/// What a probe found, in JSON and for people.
enum ProbeReport {
    static func json(_ probe: SetupProbe) -> JSONValue {
        let guilds = probe.guilds.map { guild -> JSONValue in
            var row: [String: JSONValue] = ["nodeId": .string(guild.nodeId), "endpoint": .string(guild.endpoint)]
            if let channels = guild.channels {
                row["channels"] = .array(
                    channels.map { ["id": .string($0.id), "name": .string($0.name), "xType": .string($0.type)] })
            }
            if let socket = guild.socket {
                var entry: [String: JSONValue] = ["works": .bool(socket.trouble == nil)]
                if let joined = socket.joined {
                    entry["joined"] = .string(joined)
                    entry["acknowledged"] = .bool(socket.isAcknowledged)
                }
                row["socket"] = .object(entry.merging(trouble(socket.trouble)) { $1 })
            }
            return .object(row.merging(trouble(guild.trouble)) { $1 })
        }
        return [
            "login": "ok", "userId": .string(probe.userId), "user": .string(probe.user), "guilds": .array(guilds),
        ]
    }

    static func json(_ failure: SetupProbe.Trouble) -> JSONValue {
        .object(["login": "failed"].merging(trouble(failure)) { $1 })
    }

    private static func trouble(_ trouble: SetupProbe.Trouble?) -> [String: JSONValue] {
        trouble.map { ["problem": .string($0.what), "remedy": .string($0.remedy)] } ?? [:]
    }

    /// Lines for people, the remedies under what they mend.
    static func lines(_ probe: SetupProbe, _ palette: Palette) -> [String] {
        var lines = [palette.good("logged in") + " as \(probe.user)"]
        if probe.guilds.isEmpty {
            lines.append(palette.warning("member of no guild"))
            lines.append("    Make the agent a member of a guild")
        }
        for guild in probe.guilds {
            let place = "guild \(guild.nodeId)"
            if let trouble = guild.trouble { lines += failure(place, trouble, palette) }
            guard let channels = guild.channels else { continue }
            lines.append("\(place): \(palette.good(count(channels.count)))")
            // A guild may have hundreds; the first ones tell whether it is the right guild.
            for channel in channels.prefix(20) {
                lines.append("    #\(channel.name) (\(channel.type))  fabric:\(guild.nodeId)/\(channel.id)")
            }
            if channels.count > 20 { lines.append("    and \(channels.count - 20) more (--json lists them)") }
            guard let socket = guild.socket else { continue }
            if let trouble = socket.trouble {
                lines += failure("\(place), socket", trouble, palette)
            } else {
                let joined =
                    socket.joined.map { ", joined #\($0)\(socket.isAcknowledged ? "" : " (not acknowledged)")" } ?? ""
                lines.append("\(place): \(palette.good("socket works"))\(joined)")
            }
        }
        return lines
    }

    static func lines(_ failure: SetupProbe.Trouble, _ palette: Palette) -> [String] {
        self.failure("login", failure, palette)
    }

    private static func failure(_ place: String, _ trouble: SetupProbe.Trouble, _ palette: Palette) -> [String] {
        ["\(place): \(palette.bad("failed")): \(trouble.what)", "    \(trouble.remedy)"]
    }

    private static func count(_ number: Int) -> String { number == 1 ? "1 channel" : "\(number) channels" }
}
