import FabricAccounts
import Foundation
import GatewayControl
import Settings

/// Who may read the files that hold secrets.
enum SecretChecks {
    static func permissions(_ configuration: FabricConfiguration, _ identities: IdentityFile) -> [DoctorFinding] {
        var paths: [String] = identities.exists ? [identities.path] : []
        let sources =
            (configuration.accounts.map(\.apiKey) + [configuration.commandsSyncKey, configuration.sharedStore?.url])
            .compactMap { $0 }
        for case .file(let path) in sources + identities.entries.compactMap(\.apiKey) { paths.append(path) }
        if sources.contains(where: { if case .inline = $0 { true } else { false } }) {
            paths.append(configuration.file)
        }
        var seen: Set<String> = []
        return paths.filter { seen.insert($0).inserted }.compactMap(permissions) + authorities(configuration)
    }

    private static func permissions(_ path: String) -> DoctorFinding? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        guard status.st_mode & 0o077 == 0 else {
            return DoctorFinding(
                .warning,
                "others than its owner may use it (mode \(String(status.st_mode & 0o777, radix: 8))), and it "
                    + "holds secrets", at: path, remedy: "chmod 600 \(ShellText.quote(path))")
        }
        guard status.st_uid == geteuid() else {
            return DoctorFinding(
                .warning, "it holds secrets and belongs to another user (uid \(status.st_uid))", at: path,
                remedy: "Let it belong to the user that runs the gateway")
        }
        return DoctorFinding(.good, "only its owner may read it", at: path)
    }

    private static func authorities(_ configuration: FabricConfiguration) -> [DoctorFinding] {
        guard let path = configuration.certificateAuthorityFile else { return [] }
        do throws(SettingsError) {
            _ = try CertificateAuthorities(path: path)
            return [DoctorFinding(.good, "the certificate authorities can be used", at: path)]
        } catch {
            return [DoctorFinding(error)]
        }
    }
}
