import ChannelStore
import Foundation

// A process with a store, told what to do on its standard input, one command a line. It exists to be killed, to be short of
// room, and to be another user.

/// A line at once: what is said must be out before the next thing happens.
@Sendable func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    var sent = 0
    while sent < bytes.count {
        let count = bytes[sent...].withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
        if count < 0 { exit(1) }
        sent += count
    }
}

let store = SQLiteChannelStore(path: CommandLine.arguments[1]) { level, text in say("log \(level) \(text)") }
_ = store.observe { health in
    switch health {
    case .good: say("health good")
    case .failing(let reason): say("health failing \(reason)")
    }
}

while let line = readLine() {
    let words = line.split(separator: " ").map(String.init)
    switch words.first {
    case "stream":
        // From a number on, until killed.
        let places = DispatchSemaphore(value: 300)
        for number in (Int(words[1]) ?? 0)... {
            places.wait()
            store.commit(StreamChanges.changes(number), account: StreamChanges.account(number)) { _ in
                say("\(number)")
                places.signal()
            }
        }
    case "commit":
        for number in (Int(words[1]) ?? 0)..<(Int(words[2]) ?? 0) {
            store.commit(StreamChanges.changes(number), account: StreamChanges.account(number)) { _ in
                say("done \(number)")
            }
        }
    case "limit":
        // Larger files than this cannot be written.
        signal(SIGXFSZ, SIG_IGN)
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
        limit.rlim_cur = UInt(words[1]) ?? limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
        say("limited")
    case "user":
        // Somebody whom permissions stop.
        if getuid() == 0, setgid(65534) != 0 || setuid(65534) != 0 { exit(1) }
        say("user \(getuid())")
    case "load":
        let (account, done) = (words[1], DispatchSemaphore(value: 0))
        Task.detached {
            do {
                let stored = try await store.load(account)
                say("loaded \(stored.cursors.count) \(stored.deliveries.count)")
            } catch { say("error \(error)") }
            done.signal()
        }
        done.wait()
    case "close":
        store.close(within: .seconds(Int(words[1]) ?? 0))
        say("closed")
    default: exit(2)
    }
}
