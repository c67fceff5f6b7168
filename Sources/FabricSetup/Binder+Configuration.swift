import FabricAccounts
import Foundation
import JSONBytes
import Settings

/// What `bind` writes into a gateway's configuration.
extension Binder {
    /// Adds the agent that is to answer for an account, if it was asked for and there is none of that name.
    func addAgent(_ agent: Agent?, _ account: String) throws(Refusal) {
        guard let agent else { return }
        do throws(SettingsError) {
            let isNew = try ConfigurationWriter(path: file).addAgent(account, agent.entry)
            world.tell(
                isNew
                    ? "Added the agent \(account) to \(file)."
                    : "There is an agent \(account) in \(file) already; it was left as it is.")
        } catch { throw Refusal(SetupCode.wrong, "The account is bound, but no agent was added. \(error)") }
    }

    /// An agent whose command cannot be run would have the gateway refuse every reload, that of the new key too.
    func check(_ agent: Agent?) throws(Refusal) {
        guard case .command(let words)? = agent, let program = words.first,
            let fault = AgentChecks(file: file).fault(of: program)
        else { return }
        throw Refusal(SetupCode.wrong, "Nothing was written. \(fault)")
    }

    /// A path as seen from anywhere.
    func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : FileText.resolve(path, in: FileManager.default.currentDirectoryPath)
    }

    /// The plugin this tool belongs to: as the setup scripts tell it, or the one of the folder it is installed in.
    private var manifest: String {
        guard let path = world.ownManifest else { return "./plugin.json" }
        let mine = FileText.realPath(FileText.directory(of: file))
        return mine == FileText.realPath(FileText.directory(of: path)) ? "./plugin.json" : path
    }

    /// A first configuration, with which `gateway run` works at once.
    func writeConfiguration(_ base: String, _ agent: String, _ order: Order) throws(Refusal) {
        func text(_ value: String) -> String { String(decoding: JSONValue.string(value).serialized, as: UTF8.self) }
        let authorities = order.authorities.map { ",\n      \"certificateAuthorityFile\": \(text(absolute($0)))" } ?? ""
        let entry = String(decoding: (order.agent ?? .echo).entry.serialized, as: UTF8.self)
        let hint =
            order.agent == nil
            ? "The agent of the account's name answers. This one repeats what it hears; put your own command here."
            : "The agent of the account's name answers."
        let content = """
            {
              "stateDirectory": "./state",
              "plugins": { "fabric": { "manifest": \(text(manifest)), "enabled": true } },
              "channels": {
                "fabric": {
                  "enabled": true, "centerApiBase": \(text(base)), "identityFile": "./fabric-identity.json"\(authorities)
                }
              },
              // \(hint)
              "agents": { \(text(agent)): \(entry) }
            }

            """
        do throws(SettingsError) {
            try IdentityWriter.create(file, Array(content.utf8))
            let who = order.agent.map { $0 == .echo } ?? true
            world.tell("Wrote \(file)\(who ? ", with an agent that only repeats what it hears" : "").")
        } catch { throw Refusal(SetupCode.wrong, "\(error)") }
    }
}
