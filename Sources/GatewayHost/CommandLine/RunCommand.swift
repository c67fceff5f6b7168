import Dispatch
import GatewayControl
import Glibc
import Logging

extension CommandLineTool {
    /// Runs a gateway until it is told to stop: by SIGTERM or SIGINT (a second one stops without draining) or by the
    /// control socket. SIGHUP reloads the settings.
    /// - Returns: the exit code: 0 if it ran, 1 if it could not be started, 2 if the configuration or the command is wrong.
    public static func run(configuration: String, logLevel: String) async -> Int32 {
        let log = GatewayLog.standardError()
        defer { log.flush() }
        guard let level = Logger.Level(rawValue: logLevel) else {
            log.logger().error("--log-level must be trace, debug, info, notice, warning, error or critical")
            return 2
        }
        // A connection that went away is an error where it is used, never the end of the process.
        signal(SIGPIPE, SIG_IGN)
        let logger = log.logger(level: level)
        // Connections are descriptors; the soft limit of most systems is for programs that have a few.
        _ = DescriptorLimit.raise()
        var options = Gateway.Options()
        options.reservesDescriptors = true
        let gateway = Gateway(configurationFile: configuration, options: options, logger: logger)
        let signals = Signals(gateway: gateway, logger: logger)
        defer { signals.cancel() }
        do {
            try await gateway.start()
        } catch {
            let names = CommandNames.ofThisProcess.with(configuration: configuration)
            logger.critical("the gateway could not be started: \(names.spell("\(error)"))")
            return ConfigurationCheck.findings(in: configuration).isEmpty ? 1 : 2
        }
        let flusher = Task {
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(10))
                log.flush(all: false)
            }
        }
        await gateway.stopped()
        flusher.cancel()
        return 0
    }

    /// The signals of a running gateway, as dispatch sources: no code runs in signal context.
    private final class Signals {
        private var sources: [any DispatchSourceSignal] = []

        init(gateway: Gateway, logger: Logger) {
            for number in [SIGTERM, SIGINT] {
                add(number) { await gateway.signalled(number) }
            }
            add(SIGHUP) {
                // The error is logged by the gateway.
                _ = try? await gateway.reload()
            }
        }

        private func add(_ number: Int32, _ body: @escaping @Sendable () async -> Void) {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number)
            source.setEventHandler { Task { await body() } }
            source.resume()
            sources.append(source)
        }

        func cancel() { for source in sources { source.cancel() } }
    }
}

extension Gateway {
    /// Stops; the second time without draining.
    func signalled(_ number: Int32) async {
        if stopping {
            hurry()
        } else {
            await stop()
        }
    }

    private func hurry() {
        for channel in plugins.values { channel.router.end() }
    }
}
