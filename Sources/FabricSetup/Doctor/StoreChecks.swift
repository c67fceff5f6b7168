import ChannelStore

/// `channel.db`: what survives the gateway. Only looked at, never changed.
enum StoreChecks {
    static func finding(_ stateDirectory: String, isInUse: Bool) -> DoctorFinding? {
        let path = stateDirectory + "/channel.db"
        let store = StoreInspection.of(path, isInUse: isInUse)
        switch store.verdict {
        case .missing: return nil
        case .good:
            let accounts = store.accounts == 1 ? "1 account" : "\(store.accounts) accounts"
            let size = "\((Double(store.bytes) / 1e5).rounded() / 10) MB"
            return DoctorFinding(.good, "whole, version \(store.version), \(size), \(accounts)", at: path)
        case .bad(let problem, let remedy):
            return DoctorFinding(.error, problem, at: path, remedy: remedy.prefix(1).uppercased() + remedy.dropFirst())
        }
    }
}
