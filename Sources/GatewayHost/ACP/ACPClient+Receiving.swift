import JSONBytes

extension ACPClient {
    /// One line of the agent's.
    mutating func received(_ line: [UInt8], at now: Instant) -> [Action] {
        guard let message = try? JSONValue(parsing: line), message.object != nil else {
            // Once: an agent that prints without end is not to fill the log.
            strays += 1
            return strays == 1
                ? [.note("it wrote a line that is no message of the protocol, and perhaps more of them")] : []
        }
        var actions: [Action] = []
        switch (message["method"]?.string, message["id"]) {
        case (let method?, let id?): actions = asked(method, id, message["params"] ?? [:])
        case (let method?, nil): told(method, message["params"] ?? [:], now, &actions)
        case (nil, let id?):
            guard let number = id.int, let kind = requests.removeValue(forKey: number) else { break }
            answered(kind, message["result"], message["error"], now, &actions)
        case (nil, nil): break
        }
        return actions + step(now)
    }

    /// The agent asks something of its host.
    private func asked(_ method: String, _ id: JSONValue, _ parameters: JSONValue) -> [Action] {
        guard method == "session/request_permission" else {
            return [.write(ACPMessages.refusal(id, "this host has no \(method.prefix(80))"))]
        }
        let session = parameters["sessionId"]?.string
        // Only who has a turn may do anything.
        let hasTurn = sessions.values.contains {
            if case .busy = $0.state { $0.id == session } else { false }
        }
        let outcome = hasTurn ? settings.outcome(of: parameters) : ACPPolicy.cancelled
        return [.write(ACPMessages.response(id, ["outcome": outcome]))]
    }

    /// Something happened in a session; kinds that are not known are nothing to us.
    private mutating func told(_ method: String, _ parameters: JSONValue, _ now: Instant, _ actions: inout [Action]) {
        guard method == "session/update", let session = parameters["sessionId"]?.string,
            case .busy(let id)? = sessions.values.first(where: { $0.id == session })?.state, let turn = turns[id]
        else { return }
        let update = parameters["update"] ?? .null
        switch update["sessionUpdate"]?.string {
        case "agent_message_chunk":
            guard let text = update["content"]?["text"]?.string, !text.isEmpty else { return }
            if turn.isBroken, !turn.text.isEmpty, !turn.text.hasSuffix("\n") { turns[id]?.text += "\n\n" }
            turns[id]?.isBroken = false
            turns[id]?.text += text
            guard turn.text.utf8.count + text.utf8.count > limits.output else { return }
            let reason = "the agent said more than \(limits.output) bytes; see agents.\(name).maximumOutputBytes"
            turns[id]?.text = ""
            end(id, as: .failed(reason), now, &actions)
        case "tool_call": turns[id]?.isBroken = true
        default: break
        }
    }

    /// The agent answered a request.
    private mutating func answered(
        _ kind: Request, _ result: JSONValue?, _ error: JSONValue?, _ now: Instant, _ actions: inout [Action]
    ) {
        let problem = error.map { ACPMessages.words(of: $0) }
        switch kind {
        case .initialize:
            if let problem { return giveUp("it refused initialize: \(problem)", now, &actions) }
            let version = result?["protocolVersion"]?.int
            guard version == 1 else {
                let said = version.map { "version \($0)" } ?? "no version"
                return giveUp("it speaks \(said) of the Agent Client Protocol, not version 1", now, &actions)
            }
            abilities = ACPAbilities(result ?? .null)
            if let method = settings.authMethod {
                guard abilities.authMethods.contains(method) else {
                    let known = abilities.authMethods.joined(separator: ", ")
                    return giveUp("it has no authentication “\(method)”, but: \(known)", now, &actions)
                }
                actions.append(request("authenticate", ["methodId": .string(method)], .authenticate))
            } else {
                (phase, phaseSince, lastEnd) = (.ready, now, nil)
            }
        case .authenticate:
            if let problem { return giveUp("it refused to authenticate: \(problem)", now, &actions) }
            (phase, phaseSince, lastEnd) = (.ready, now, nil)
        case .open(let key):
            guard case .opening = sessions[key]?.state else { return }
            guard let id = result?["sessionId"]?.string, problem == nil else {
                return fail(key, "the agent opened no session: \(problem ?? "no sessionId")\(hint(error))", &actions)
            }
            sessions[key]?.id = id
            sessions[key]?.state = .idle
        case .load(let key):
            guard case .opening = sessions[key]?.state else { return }
            if problem == nil { sessions[key]?.state = .idle } else { sessions[key] = nil }
        case .prompt(let id, let key):
            if case .ending(id, _) = sessions[key]?.state { sessions[key]?.state = .idle }
            over(id, result, problem.map { $0 + hint(error) }, &actions)
        case .other: break
        }
    }

    private mutating func over(_ id: TurnID, _ result: JSONValue?, _ problem: String?, _ actions: inout [Action]) {
        guard let turn = turns[id] else { return }
        if let problem { return finish(id, .failed("the agent failed: \(problem)"), &actions) }
        switch result?["stopReason"]?.string {
        case "end_turn": finish(id, .said(turn.text), &actions)
        case let reason?:
            // Cut short, by a limit of its own or by refusing: what it said is said.
            finish(
                id, turn.text.isEmpty ? .failed("the agent ended the turn: \(reason.prefix(80))") : .said(turn.text),
                &actions)
        case nil: finish(id, .failed("the agent ended the turn without a reason"), &actions)
        }
    }

    /// The process is of no use: it is ended, and started again later.
    private mutating func giveUp(_ reason: String, _ now: Instant, _ actions: inout [Action]) {
        actions.append(.note(reason))
        actions.append(.kill)
        cause = cause ?? reason
        for id in waiting { finish(id, .failed(reason), &actions) }
    }

    /// What to do about an agent that wants to know who uses it.
    private func hint(_ error: JSONValue?) -> String {
        guard error?["code"]?.int == -32000, !abilities.authMethods.isEmpty, settings.authMethod == nil else {
            return ""
        }
        return "; log in by its own command, or set agents.\(name).acp.authMethod to one of "
            + abilities.authMethods.joined(separator: ", ")
    }
}
