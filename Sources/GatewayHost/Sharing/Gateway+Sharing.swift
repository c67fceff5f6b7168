import GatewayControl
import JSONBytes

extension Gateway {
    /// Gives all accounts to the other gateways that share them, and takes none until `undrain`: for a deploy.
    /// - Parameter limit: how long that may take; what is left then is named, and goes over when it can.
    /// - Returns: `{"drained": whether nothing is left, "left": [{"account", "why"}]}`.
    /// - Throws: `GatewayError` when nobody shares the accounts, or nobody is there to take them; then nothing changes.
    func drain(within limit: Duration) async throws(GatewayError) -> JSONValue {
        var left: [JSONValue] = []
        for runtime in try await sharing() {
            do throws(ModuleRefusal) {
                // The module keeps the time; this is for a module that does not.
                let answer = try await runtime.command(
                    "sharing.drain", ["withinSeconds": .double(limit / .seconds(1))], within: limit + .seconds(10))
                let names = answer["left"]?.texts ?? []
                guard !names.isEmpty else { continue }
                let states = await runtime.sharingStatus()?["accounts"]?.array ?? []
                let running = runtime.router.running
                for name in names {
                    let state = states.first { $0["accountId"]?.string == name }?["state"]?.string
                    left.append([
                        "account": .string(name),
                        "why": .string(Self.whyLeft(turns: running[name]?.count ?? 0, state: state)),
                    ])
                }
            } catch {
                throw GatewayError(error)
            }
        }
        return ["drained": .bool(left.isEmpty), "left": .array(left)]
    }

    /// Takes accounts again.
    func undrain() async throws(GatewayError) -> JSONValue {
        for runtime in try await sharing() {
            do {
                _ = try await runtime.command("sharing.undrain", [:])
            } catch {
                throw GatewayError(error)
            }
        }
        return [:]
    }

    private static func whyLeft(turns: Int, state: String?) -> String {
        if turns > 0 { return "\(turns) turn\(turns == 1 ? "" : "s") of it still run\(turns == 1 ? "s" : "")" }
        return state == "stopping" ? "it is being stopped" : "no other gateway has taken it yet"
    }

    /// The channels whose accounts are shared.
    private func sharing() async throws(GatewayError) -> [PluginRuntime] {
        var found: [PluginRuntime] = []
        for (_, runtime) in plugins.sorted(by: { $0.key < $1.key }) where await runtime.sharingStatus() != nil {
            found.append(runtime)
        }
        guard !found.isEmpty else {
            throw GatewayError(
                "this gateway shares its accounts with no other: there is nobody to hand them over to",
                remedy:
                    "`gateway stop` drains and stops it; several gateways share accounts through channels.fabric.store")
        }
        return found
    }
}

extension PluginRuntime {
    /// Who runs what, in the module's words; `nil` if the accounts are not shared, or it does not say.
    func sharingStatus() async -> JSONValue? {
        guard capabilities.contains("sharing"), let module else { return nil }
        do {
            let answer = try await module.command("sharing.status")
            return answer["sharing"]?.bool == true ? answer : nil
        } catch {
            logger.debug("who runs what is not known: \(error)")
            return nil
        }
    }
}
