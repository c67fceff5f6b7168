import ArgumentParser
import CBench
import Foundation
import GatewayABI
import JSONBytes
import Locking

/// Loads the module and drives it through the C ABI, as a gateway does.
final class ModuleHost {
    /// The module built beside this program.
    static var beside: String {
        let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        return program.deletingLastPathComponent().appendingPathComponent("libFabricModule.so").path
    }

    /// What callbacks report; shared with the module's threads.
    final class Answers: Sendable {
        struct State {
            var results: [UInt64: (code: Int32, json: String)] = [:]
            var connected: Set<String> = []
        }
        let state = Locked(State())
        let changed = DispatchSemaphore(value: 0)
    }

    private var table = gateway_channel()
    private let answers = Answers()
    private var nextRequest: UInt64 = 1
    private let state: String
    private let keepsState: Bool

    /// - Parameter state: the state directory, which stays when the host shuts down; by default one of its own, which goes.
    init(path: String, state: String? = nil) throws {
        keepsState = state != nil
        self.state = state ?? NSTemporaryDirectory() + "fabric-bench-\(UUID().uuidString)"
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL), let symbol = dlsym(handle, GATEWAY_CHANNEL_OPEN_SYMBOL)
        else { throw ValidationError("cannot load \(path): \(String(cString: dlerror()))") }
        let open = unsafeBitCast(symbol, to: gateway_channel_open_function.self)
        var host = gateway_host()
        host.abi_version = UInt32(GATEWAY_ABI_VERSION)
        host.struct_size = UInt32(MemoryLayout<gateway_host>.size)
        host.context = Unmanaged.passRetained(answers).toOpaque()
        host.deliver = count_deliver
        host.complete = { context, request, code, json in
            guard let context else { return }
            let answers = Unmanaged<Answers>.fromOpaque(context).takeUnretainedValue()
            let text = String(decoding: UnsafeBufferPointer(start: json.data, count: json.count), as: UTF8.self)
            answers.state.withLock { $0.results[request] = (code, text) }
            answers.changed.signal()
        }
        host.account_changed = { context, json in
            guard let context else { return }
            let answers = Unmanaged<Answers>.fromOpaque(context).takeUnretainedValue()
            // On the module's thread: it should cost little.
            let text = UnsafeRawBufferPointer(start: json.data, count: json.count)
            guard (try? JSONBytes.validateWhole(text)) != nil else { return }
            let status = JSONView(validated: text, start: 0, end: text.count)
            guard let id = status["accountId"]?.string else { return }
            let isConnected = status["connected"]?.bool ?? false
            answers.state.withLock { state in
                if isConnected { state.connected.insert(id) } else { state.connected.remove(id) }
            }
            answers.changed.signal()
        }
        host.log = { _, level, record in
            guard level >= 3, let bytes = record.data else { return }
            FileHandle.standardError.write(Data(UnsafeBufferPointer(start: bytes, count: record.count)) + [10])
        }
        table.struct_size = UInt32(MemoryLayout<gateway_channel>.size)
        var error = [CChar](repeating: 0, count: 500)
        guard open(&host, &table, &error, error.count) == Int32(GATEWAY_OK) else {
            throw ValidationError(
                "the module does not open: \(String(decoding: error.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))"
            )
        }
    }

    func shutdown() {
        table.shutdown(table.instance)
        if !keepsState { try? FileManager.default.removeItem(atPath: state) }
    }

    func configure(center: String, accounts: [String: String], authority: String? = nil) throws {
        // What an earlier run delivered must not be known.
        try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
        var settings: [String: Any] = [
            "centerApiBase": center, "accounts": accounts.mapValues { ["fabricApiKey": $0] },
        ]
        settings["certificateAuthorityFile"] = authority
        // What connecting costs is measured, not the pause between logins.
        if accounts.count > 100 { settings["loginsPerSecond"] = 0 }
        try request(table.configure, ["stateDirectory": state, "directory": state, "settings": settings])
    }

    func start(_ account: String) throws { try request(table.start_account, ["accountId": account]) }

    func waitUntilConnected(_ accounts: String...) throws { try wait(for: Set(accounts)) }

    func wait(for accounts: Set<String>, seconds: Double = 120) throws {
        let deadline = DispatchTime.now() + seconds
        while !answers.state.withLock({ $0.connected.isSuperset(of: accounts) }) {
            guard answers.changed.wait(timeout: deadline) == .success else {
                throw ValidationError("not connected after \(seconds) s")
            }
        }
    }

    private typealias Call =
        @convention(c) (UnsafeMutableRawPointer?, UInt64, gateway_bytes) -> Void

    private func request(_ call: Call, _ json: [String: Any]) throws {
        let number = nextRequest
        nextRequest += 1
        let data = [UInt8](try JSONSerialization.data(withJSONObject: json))
        data.withUnsafeBufferPointer {
            call(table.instance, number, gateway_bytes(data: $0.baseAddress, count: $0.count))
        }
        while true {
            if let result = answers.state.withLock({ $0.results.removeValue(forKey: number) }) {
                guard result.code == Int32(GATEWAY_OK) else { throw ValidationError(result.json) }
                return
            }
            guard answers.changed.wait(timeout: .now() + 30) == .success else { throw ValidationError("no answer") }
        }
    }
}
