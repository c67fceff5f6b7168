import CGatewaySystem
import GatewayABI
import Glibc
import Logging

/// Opens modules: private copy, `dlopen`, the one symbol, version checks, all within a deadline. Never `dlclose`: the
/// Swift runtime cannot unload code.
public struct ModuleLoader: Sendable {
    private let directory: ModuleDirectory
    private let openDeadline: Duration
    private let deadlines: ChannelModule.Deadlines
    private let logger: Logger

    /// - Parameter openDeadline: how long loading and `gateway_channel_open` may take together. The contract says one
    ///   second; five leave room for a cold disk.
    public init(
        directory: ModuleDirectory, openDeadline: Duration = .seconds(5),
        deadlines: ChannelModule.Deadlines = .init(), logger: Logger
    ) {
        self.directory = directory
        self.openDeadline = openDeadline
        self.deadlines = deadlines
        self.logger = logger
    }

    /// Opens an instance of the module at `path`.
    /// - Parameters:
    ///   - id: what the manifest calls it; the module must say the same.
    ///   - generation: the number its callbacks carry.
    /// - Throws: `ModuleError`; nothing of the attempt stays but, once the loader accepted the file, its mapped code.
    public func open(
        _ path: String, id: String, generation: ModuleGeneration, events: any ModuleEvents
    ) async throws(ModuleError) -> ChannelModule {
        let copy = try directory.copy(of: path, id: id)
        let requests = ModuleRequests()
        let host = HostTable(
            functions: ModuleCallbacks(generation: generation, requests: requests, events: events).retainedTable())
        let opened = Once<Result<ModuleTable, ModuleError>>()
        do {
            try DetachedThread.start("module-open") {
                let result = Self.openNow(copy, original: path, host: host)
                if opened.decide(result) { return }
                // Too late: nobody waits any more, so what was opened is closed again here.
                if case .success(let table) = result { table.functions.shutdown(table.functions.instance) }
                ModuleCallbacks.release(host.functions)
            }
        } catch {
            ModuleCallbacks.release(host.functions)
            directory.remove(copy)
            throw ModuleError(.open, "\(error)", place: path, remedy: "Raise the limit on threads")
        }
        let late = ModuleError(
            .open, "the module did not open within \(openDeadline)", place: path,
            remedy: "Install a working build; what ran before still runs")
        let result = await opened.value(within: openDeadline, or: .failure(late))
        let remove: @Sendable () -> Void = { [directory] in directory.remove(copy) }
        switch result {
        case .failure(let error):
            // After the deadline the thread still owns the callbacks. A table that cannot be used cannot be shut down
            // either, and may call back for ever: its context stays.
            if error != late, error.kind != .version { ModuleCallbacks.release(host.functions) }
            remove()
            throw error
        case .success(let table):
            let module = ChannelModule(
                table: table, host: host, requests: requests, generation: generation, copy: copy,
                deadlines: deadlines, removeCopy: remove)
            guard module.id == id else {
                await module.shutdown()
                throw ModuleError(
                    .identity, "the module calls itself “\(module.id)”, the manifest “\(id)”", place: path,
                    remedy: "Check the module path in plugin.json")
            }
            logger.debug(
                "module opened",
                metadata: ["module": "\(id)", "version": "\(module.version)", "generation": "\(generation)"])
            return module
        }
    }

    /// The blocking part, on its own thread.
    private static func openNow(
        _ copy: String, original: String, host: HostTable
    ) -> Result<ModuleTable, ModuleError> {
        guard let handle = dlopen(copy, RTLD_NOW | RTLD_LOCAL) else {
            return .failure(
                ModuleError(
                    .load, "the loader refused it: \(loaderWords().replacing(copy, with: Files.name(of: original)))",
                    place: original, remedy: "Install the libraries it needs, or build it on this machine"))
        }
        // The loader knows libraries by inode too; the fresh copy must not turn out to be an old one.
        if let loaded = gateway_loaded_path(handle), String(cString: loaded) != copy {
            return .failure(
                ModuleError(
                    .load, "the loader gave back code that was loaded before (\(String(cString: loaded)))",
                    place: original, remedy: "Try again; if it persists, restart the gateway"))
        }
        guard let symbol = dlsym(handle, GATEWAY_CHANNEL_OPEN_SYMBOL) else {
            return .failure(
                ModuleError(
                    .symbol, "it does not export \(GATEWAY_CHANNEL_OPEN_SYMBOL)", place: original,
                    remedy: "This is not a channel module; check the module path in plugin.json"))
        }
        let open = unsafeBitCast(symbol, to: OpenFunction.self)
        var functions = gateway_channel()
        functions.struct_size = UInt32(MemoryLayout<gateway_channel>.size)
        var message = [CChar](repeating: 0, count: 1024)
        let code = withUnsafePointer(to: host.functions) { open($0, &functions, &message, message.count) }
        guard code == Int32(GATEWAY_OK) else {
            message[message.count - 1] = 0
            let words = String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            return .failure(
                ModuleError(
                    .open, words.isEmpty ? "it refused to open with code \(code)" : "it refused to open: \(words)",
                    place: original, remedy: "Install the module that belongs to this gateway"))
        }
        do {
            return .success(try ModuleTable(functions, path: original))
        } catch {
            // A table of another version cannot be called, not even to shut it down: it is left alone.
            return .failure(error)
        }
    }

    private typealias OpenFunction =
        @convention(c) (
            UnsafePointer<gateway_host>?, UnsafeMutablePointer<gateway_channel>?, UnsafeMutablePointer<CChar>?, Int
        ) -> Int32

    /// The loader's message for the last failure on this thread.
    private static func loaderWords() -> String { dlerror().map { String(cString: $0) } ?? "no reason given" }
}
