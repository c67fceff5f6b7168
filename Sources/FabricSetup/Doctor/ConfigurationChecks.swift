import Foundation
import GatewayControl
import Settings

/// What a gateway would say to its configuration file, and to the plugin named in it.
enum ConfigurationChecks {
    /// - Parameter own: the manifest of the plugin that the doctor belongs to.
    static func gateway(_ file: String, own: String?) -> [DoctorFinding] {
        let errors = ConfigurationCheck.findings(in: file).map { DoctorFinding($0) }
        return (errors.isEmpty ? [DoctorFinding(.good, "a gateway takes this file", at: file)] : errors)
            + plugins(file, own)
    }

    private static func plugins(_ file: String, _ own: String?) -> [DoctorFinding] {
        guard let top = SettingsDocument.read(file: file, findings: SettingsFindings()) else { return [] }
        let directory = FileText.directory(of: file)
        return (top["plugins"]?.members ?? []).flatMap { plugin -> [DoctorFinding] in
            guard let text = plugin.node["manifest"]?.string else { return [] }
            return examine(FileText.resolve(text, in: directory), as: plugin.name, own)
        }
    }

    private static func examine(_ path: String, as id: String, _ own: String?) -> [DoctorFinding] {
        do throws(ModuleError) {
            let manifest = try PluginManifest(path: path)
            guard manifest.id == id else {
                let what = "the plugin calls itself \(manifest.id), the configuration \(id)"
                return [DoctorFinding(.error, what, at: path, remedy: "Use the plugin's id under \"plugins\"")]
            }
            guard access(manifest.modulePath, R_OK) == 0 else {
                let remedy = "Build it (./setup build), or install the plugin (./setup install DIR)"
                let what = "the module cannot be read: \(String(cString: strerror(errno)))"
                return [DoctorFinding(.error, what, at: manifest.modulePath, remedy: remedy)]
            }
            return [DoctorFinding(.good, "plugin \(id) \(manifest.version), module \(manifest.modulePath)", at: path)]
        } catch {
            // A plugin's folder that was moved, most likely.
            guard let own, access(path, F_OK) != 0 else {
                return [DoctorFinding(.error, error.problem, at: path, remedy: error.remedy)]
            }
            return [
                DoctorFinding(
                    .error, error.problem, at: path,
                    remedy: "The plugin of this command is at \(own): set plugins.\(id).manifest to that")
            ]
        }
    }
}
