import CGatewaySystem
import GatewayABI
import GatewayControl
import Glibc
import Logging
import Threads

/// Opens modules: private copy, `dlopen`, the one symbol, version checks, all within a deadline. Never `dlclose`: the
/// Swift runtime cannot unload code. The same bytes are loaded once, however often they are opened.
public struct ModuleLoader: Sendable {
    private let directory: ModuleDirectory
    private let openDeadline: Duration
    private let deadlines: PluginModule.Deadlines
    private let logger: Logger
    private let code = LoadedCode()

    /// - Parameter openDeadline: how long loading and `gateway_channel_open` may take together. The header says one
    ///   second; five leave room for a cold disk.
    public init(
        directory: ModuleDirectory, openDeadline: Duration = .seconds(5),
        deadlines: PluginModule.Deadlines = .init(), logger: Logger
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
    ) async throws(ModuleError) -> PluginModule {
        let copy = try directory.copy(of: path, id: id)
        let image = try image(of: copy, original: path)
        let known = code.library(of: image)
        if known != nil { directory.remove(copy) }
        let remove: @Sendable () -> Void = { [directory] in directory.remove(copy) }
        let requests = ModuleRequests()
        let host = HostTable(
            functions: ModuleCallbacks(generation: generation, requests: requests, events: events).retainedTable())
        let opened = Once<Result<ModuleTable, ModuleError>>()
        do {
            try NamedThread.start("module-open") { [code] in
                let result = Self.library(known, copy, image, original: path, code).flatMap {
                    Self.openNow($0, original: path, host: host)
                }
                if opened.decide(result) { return }
                // Too late: nobody waits any more, so what was opened is closed again here.
                if case .success(let table) = result { table.functions.shutdown(table.functions.instance) }
                ModuleCallbacks.release(host.functions)
            }
        } catch {
            ModuleCallbacks.release(host.functions)
            remove()
            throw ModuleError(.open, "\(error)", place: path, remedy: "Raise the limit on threads")
        }
        let late = ModuleError(
            .open, "the module did not open within \(openDeadline)", place: path,
            remedy: "Install a working build; what ran before still runs")
        let stopping = ModuleError(
            .open, "it was given up, because the gateway is stopping", place: path, remedy: "Load it again later")
        let result = await opened.value(
            within: openDeadline, or: .failure(late), cancelled: { .failure(stopping) })
        switch result {
        case .failure(let error):
            // After the deadline the thread still owns the callbacks. A table that cannot be used cannot be shut down
            // either, and may call back for ever: its context stays.
            if error != late, error != stopping, error.kind != .version { ModuleCallbacks.release(host.functions) }
            remove()
            throw error
        case .success(let table):
            let module = PluginModule(
                table: table, host: host, requests: requests, generation: generation, copy: known?.copy ?? copy,
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

    /// The copy's bytes, checked; a copy that is no module is removed.
    private func image(of copy: String, original: String) throws(ModuleError) -> ModuleImage {
        let image: ModuleImage
        do {
            image = try ModuleImage(copy: copy)
        } catch {
            directory.remove(copy)
            throw ModuleError(
                .file, "the private copy cannot be read (\(error))", place: copy,
                remedy: "Check the state directory and the limits of this process")
        }
        do {
            try ModuleFile.check(image.bytes, path: original)
        } catch {
            directory.remove(copy)
            throw error
        }
        return image
    }

    /// Loads the copy, unless its code is there already. Blocks.
    private static func library(
        _ known: LoadedCode.Library?, _ copy: String, _ image: ModuleImage, original: String, _ code: LoadedCode
    ) -> Result<UnsafeMutableRawPointer, ModuleError> {
        if let known { return .success(known.handle) }
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
        code.add(handle, copy: copy, image: image)
        return .success(handle)
    }

    /// Asks the library for an instance. Blocks.
    private static func openNow(
        _ library: UnsafeMutableRawPointer, original: String, host: HostTable
    ) -> Result<ModuleTable, ModuleError> {
        guard let symbol = dlsym(library, GATEWAY_CHANNEL_OPEN_SYMBOL) else {
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
