import Foundation
import GatewayControl
import JSONBytes
import Settings

/// The state directory, and the gateway that runs on it.
struct StateChecks {
    private(set) var findings: [DoctorFinding] = []
    /// The status of the gateway that runs, if one does and answers.
    private(set) var status: JSONValue?
    private let world: SetupWorld
    private let file: String

    init(world: SetupWorld, file: String) {
        self.world = world
        self.file = file
        guard let path = ConfigurationCheck.stateDirectory(of: file) else { return }
        guard examine(path) else { return }
        world.progress("asking the gateway")
        examineHolder(path)
        world.progress("reading channel.db")
        if let finding = StoreChecks.finding(path, isInUse: LockHolder(of: path) != nil) { findings.append(finding) }
    }

    /// Whether it is there.
    private mutating func examine(_ path: String) -> Bool {
        var facts = stat()
        guard stat(path, &facts) == 0 else {
            if errno == ENOENT, access(FileText.directory(of: path), W_OK) == 0 {
                findings.append(
                    DoctorFinding(
                        .note, "no gateway has run on it yet: it is made at the first run", at: path,
                        remedy: "`gateway run`"))
            } else {
                let what = "the state directory is not there and cannot be made: \(String(cString: strerror(errno)))"
                findings.append(
                    DoctorFinding(.error, what, at: path, remedy: "Make it, or name another stateDirectory"))
            }
            return false
        }
        guard facts.st_mode & S_IFMT == S_IFDIR else {
            findings.append(
                DoctorFinding(.error, "it is no directory", at: path, remedy: "Name another stateDirectory"))
            return false
        }
        let before = findings.count
        if access(path, W_OK | X_OK) != 0 {
            let what = "the state directory cannot be written: \(String(cString: strerror(errno)))"
            findings.append(DoctorFinding(.error, what, at: path, remedy: "Check its owner, mode and file system"))
        }
        if facts.st_mode & 0o077 != 0 {
            let what = "others may look into the state directory, where people's files lie"
            findings.append(DoctorFinding(.warning, what, at: path, remedy: "chmod 700 \(ShellText.quote(path))"))
        }
        var space = statvfs()
        if statvfs(path, &space) == 0 {
            // In megabytes; no size of a disk is too large to be said.
            let free = UInt64(min(Double(space.f_bavail) * Double(space.f_frsize) / 1e6, 1e15))
            // Attachments of one turn may take a few hundred megabytes.
            if free < 500 {
                let what = "only \(free) MB are free"
                findings.append(DoctorFinding(.warning, what, at: path, remedy: "Make room for attachments"))
            } else if findings.count == before {
                findings.append(
                    DoctorFinding(.good, "the state directory can be written, \(free) MB are free", at: path))
            }
        }
        return true
    }

    private mutating func examineHolder(_ path: String) {
        let holder = LockHolder(of: path)
        switch world.askGateway(path, ["command": "status"]) {
        case .result(let status):
            self.status = status
            examine(status, path)
        case .noGateway:
            guard let holder else {
                let remedy = "`gateway run`"
                return findings.append(DoctorFinding(.note, "no gateway runs on it", at: path, remedy: remedy))
            }
            let what =
                "process \(holder.name) holds the state directory but does not listen: another gateway would be "
                + "refused"
            findings.append(
                DoctorFinding(.error, what, at: path, remedy: "Wait if it is starting or stopping; else end it"))
        case .failed(let words):
            let who = holder.map { "process \($0.name)" } ?? "the gateway"
            findings.append(
                DoctorFinding(
                    .error, "\(who) does not answer on its control socket: \(words)", at: path,
                    remedy: "Look at its log; run this command as the same user"))
        }
    }

    private mutating func examine(_ status: JSONValue, _ path: String) {
        let process = "gateway process \(status["pid"]?.int ?? 0)"
        let theirs = status["configuration"]?.string ?? ""
        if FileText.realPath(theirs) == FileText.realPath(file) {
            findings.append(DoctorFinding(.good, "\(process) runs on it", at: path))
        } else {
            findings.append(
                DoctorFinding(
                    .error, "\(process) runs on it with another configuration, \(theirs)", at: path,
                    remedy: "Give each gateway its own stateDirectory"))
        }
        for account in status["accounts"]?.array ?? [] where account["channel"]?.string == "fabric" {
            if let finding = Self.running(account) { findings.append(finding) }
        }
        findings += GatewayChecks(status: status, place: path).findings
        deadLetters(path)
    }

    /// What the gateway says of an account that should run.
    private static func running(_ account: JSONValue) -> DoctorFinding? {
        let id = account["accountId"]?.string ?? ""
        guard account["enabled"]?.bool != false, account["configured"]?.bool != false else { return nil }
        let place = "\(AccountChecks.place(id)), running gateway"
        let reason = account["reason"]?.string ?? ""
        let words = reason.isEmpty ? "" : ": \(reason)"
        switch account["lifecycle"]?.string {
        case "ready": return DoctorFinding(.good, "connected", at: place)
        case "standby": return DoctorFinding(.good, "on standby\(words)", at: place)
        case "blocked":
            return DoctorFinding(
                .error, "blocked\(words)", at: place,
                remedy: "Bind it again with a good key, or: `gateway unblock --account \(ShellText.quote(id))`")
        case let state:
            return DoctorFinding(
                .warning, "not connected (\(state ?? "unknown"))\(words)", at: place,
                remedy: "Look at `gateway status` and at the network findings below")
        }
    }

    private mutating func deadLetters(_ path: String) {
        let request: JSONValue = [
            "command": "module", "channel": "fabric", "name": "deadLetters.list", "arguments": [:],
        ]
        guard case .result(let answer) = world.askGateway(path, request) else { return }
        let count = answer["deadLetters"]?.array?.count ?? 0
        guard count > 0 else { return findings.append(DoctorFinding(.good, "no dead letters", at: path)) }
        findings.append(
            DoctorFinding(
                .warning, "\(count) \(count == 1 ? "message" : "messages") could not be sent and wait as dead letters",
                at: path,
                remedy:
                    "`gateway deadletters list`; then `gateway deadletters resubmit ID`, or drop ID"
            ))
    }
}

/// Who holds a state directory.
struct LockHolder {
    /// The process as the lock file names it.
    let name: String

    /// nil if nobody does. Looks by taking a shared lock for an instant, as the gateway's own commands do.
    init?(of directory: String) {
        let path = directory + "/gateway.lock"
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_SH | LOCK_NB) != 0, errno == EWOULDBLOCK else { return nil }
        guard case .success(let bytes) = FileText.read(path, limit: 64) else {
            name = "unknown"
            return
        }
        let text = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        name = text.isEmpty ? "unknown" : text
    }
}
