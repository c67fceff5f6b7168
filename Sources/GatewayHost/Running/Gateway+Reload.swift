import GatewayControl
import JSONBytes
import Logging

extension Gateway {
    /// Reads the configuration again and follows it account by account; with `module` the modules' code is loaded anew
    /// instead, under the settings in effect.
    /// - Returns: what was done: `{"added":[…],"changed":[…],"adopted":[…],"removed":[…]}` for the accounts, `settings`: the
    ///   keys of what else the channels took up, `agents`,
    ///   `bindings` and `plugins` of the same form, `maximumCommands` if that is another, `warnings`; or
    ///   `{"modules":{id: version}}`.
    /// - Throws: `GatewayError` with every finding; then everything goes on as it was.
    @discardableResult
    public func reload(module: Bool = false) async throws(GatewayError) -> JSONValue {
        do {
            return try await serially { gateway in
                module ? try await gateway.reloadModules() : try await gateway.reloadSettings()
            }
        } catch {
            let error = stopping ? GatewayError("the reload was cut short, because the gateway is stopping") : error
            logger.error("the reload was refused: \(error)")
            throw error
        }
    }

    private func reloadModules() async throws -> JSONValue {
        guard let configuration else { throw GatewayError("the gateway is not started") }
        var versions: [String: JSONValue] = [:]
        for plugin in configuration.plugins {
            guard let runtime = plugins[plugin.id] else { continue }
            versions[plugin.id] = .string(try await runtime.reloadModule(Self.manifest(of: plugin, configuration)))
        }
        return ["modules": .object(versions)]
    }

    private func reloadSettings() async throws -> JSONValue {
        guard let old = configuration else { throw GatewayError("the gateway is not started") }
        let new = try GatewayConfiguration(file: configurationFile)
        guard new.stateDirectory == old.stateDirectory else {
            throw GatewayError(
                "stateDirectory cannot change while the gateway runs", place: "\(new.file): stateDirectory",
                remedy: "Stop the gateway and start it again")
        }
        let wanted = new.plugins.filter(\.enabled)
        for plugin in wanted {
            if let before = old.plugins.first(where: { $0.id == plugin.id && $0.enabled }),
                before.manifest != plugin.manifest
            {
                throw GatewayError(
                    "the manifest of a running plugin cannot change",
                    place: "\(new.file): plugins.\(plugin.id).manifest",
                    remedy:
                        "Install the new plugin at the old place and use `gateway reload --module`, or restart the gateway"
                )
            }
        }
        let change = ConfigurationChange(from: old, to: new)
        let warnings = try commandFindings(new, change)
        let routes = try routes(of: new)
        let prepared = try await prepare(wanted, old: old, new: new)

        // From here on nothing can fail.
        configuration = new
        (table, slots) = (routes.table, routes.slots)
        await keep(routes.companions)
        reserve.hold(descriptorsToReserve(new))
        var result: [String: [String]] = ["added": [], "changed": [], "adopted": [], "removed": [], "settings": []]
        for (id, runtime) in plugins where !wanted.contains(where: { $0.id == id }) {
            result["removed"]?.append(contentsOf: await runtime.supervisor.accounts)
            await runtime.shutdown(drain: options.restartDrain)
            plugins[id] = nil
        }
        for runtime in plugins.values { runtime.router.use(table) }
        for (id, adopted) in prepared.adopted {
            result["added"]?.append(contentsOf: adopted.added)
            result["changed"]?.append(contentsOf: adopted.changed)
            result["adopted"]?.append(contentsOf: adopted.adopted)
            result["removed"]?.append(contentsOf: adopted.removed)
            result["settings"]?.append(contentsOf: adopted.settings.map { "channels.\(id).\($0)" })
            await plugins[id]?.apply(adopted)
            await plugins[id]?.offer(new.commands)
            await plugins[id]?.lookAtPresence(.agentsChanged)
        }
        for (id, runtime) in prepared.opened {
            runtime.router.use(table)
            plugins[id] = runtime
            await runtime.offer(new.commands)
            await runtime.startAccounts()
            result["added"]?.append(contentsOf: await runtime.supervisor.accounts)
        }
        var answer = result.mapValues { JSONValue.array($0.sorted().map { .string($0) }) }
        answer["agents"] = change.agents.json
        answer["bindings"] = change.bindings.json
        answer["plugins"] = change.plugins.json
        if let count = change.maximumCommands { answer["maximumCommands"] = .int(Int64(count)) }
        answer["warnings"] = .array(warnings.map { .string($0) })
        let words = ReloadReport(.object(answer)).text.trimmingEnd()
        logger.notice("settings reloaded: \(words.split(separator: "\n").joined(separator: "; "))")
        return .object(answer)
    }

    /// An agent that is new or changed must be able to run; one that stays as it was is not this reload's mistake.
    private func commandFindings(
        _ new: GatewayConfiguration, _ change: ConfigurationChange
    ) throws(GatewayError) -> [String] {
        let problems = new.commandProblems
        let touched = Set(
            (change.agents.added + change.agents.changed).map {
                "\(new.file): agents.\($0).\(new.agents[$0]?.commandKey ?? "command")"
            })
        let mistakes = problems.filter { touched.contains($0.place) }
        guard let first = mistakes.first else { return problems.map(\.description) }
        guard mistakes.count > 1 else { throw first }
        throw GatewayError(
            "\(mistakes.count) agents have commands that cannot be run", place: new.file,
            remedy: "Correct them all", findings: mistakes.map(\.description))
    }

    private struct Prepared {
        var adopted: [String: PluginRuntime.Adopted] = [:]
        var opened: [String: PluginRuntime] = [:]
    }

    /// Lets every module judge its new settings. If one refuses, those that had agreed get their old settings back.
    private func prepare(
        _ wanted: [GatewayConfiguration.Plugin], old: GatewayConfiguration, new: GatewayConfiguration
    ) async throws -> Prepared {
        var prepared = Prepared()
        do {
            for plugin in wanted {
                if let runtime = plugins[plugin.id] {
                    prepared.adopted[plugin.id] = try await runtime.configure(new.channels[plugin.id] ?? [:])
                } else {
                    prepared.opened[plugin.id] = try await open(plugin, new)
                }
            }
            return prepared
        } catch {
            for runtime in prepared.opened.values { await runtime.shutdown(drain: .zero) }
            for id in prepared.adopted.keys {
                do {
                    _ = try await plugins[id]?.configure(old.channels[id] ?? [:])
                } catch {
                    logger.error("channel \(id) did not take its old settings back: \(error)")
                }
            }
            throw error
        }
    }
}
