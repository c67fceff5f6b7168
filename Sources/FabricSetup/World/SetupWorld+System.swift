import ChannelStore
import FabricAPI
import Foundation
import GatewayControl
import HTTPTransfer
import JSONBytes
import Settings
import Timing

extension SetupWorld {
    /// This process.
    public static var system: SetupWorld {
        let terminal = Terminal()
        return SetupWorld(
            environment: { name in getenv(name).map { String(cString: $0) } },
            readLine: { Swift.readLine(strippingNewline: true) },
            isTerminal: isatty(STDIN_FILENO) == 1,
            ask: { question, isSecret in terminal.ask(question, isSecret) },
            say: { line in terminal.write(line, to: STDOUT_FILENO) },
            complain: { line in terminal.write(line, to: STDERR_FILENO) },
            progress: { step in terminal.progress(step) },
            palette: Palette(of: STDOUT_FILENO),
            login: { center, authorities, key in
                try await withTransfers(authorities) { http in
                    try await FabricCenter(base: center, http: http).login(apiKey: key.reveal())
                }
            },
            greet: { center, authorities in
                try await withTransfers(authorities) { http in
                    try await FabricCenter(base: center, http: http).check()
                }
            },
            probe: { request in
                try await withTransfers(request.authorities) { http in try await SetupProbe.look(request, http) }
            },
            clockAhead: { center, authorities in
                try await withTransfers(authorities) { http in
                    let answer = try await http.perform(HTTPRequest(.get, center))
                    return answer.headers["date"].flatMap { TimeText.httpSeconds($0) }.map { $0 - Double(time(nil)) }
                }
            },
            askGateway: { directory, request in
                do throws(ControlClient.Failure) {
                    // A reload restarts accounts; all else is answered at once by a gateway that is well.
                    let limit: Duration = request["command"]?.string == "reload" ? .seconds(300) : .seconds(10)
                    return .result(try ControlClient.ask(request, stateDirectory: directory, within: limit))
                } catch {
                    if case .noGateway = error { return .noGateway }
                    return .failed("\(error)")
                }
            },
            inspectDatabase: { address, schema throws(StoreError) in
                let keywords = Dictionary(address.keywords.map { ($0.name, $0.value.reveal()) }) { $1 }
                return try PostgreSQLInspection.look(
                    at: PostgreSQLSettings(keywords: keywords, place: address.description, schema: schema))
            }, names: .ofThisProcess)
    }

    private static func withTransfers<T: Sendable>(
        _ authorities: String?, _ body: (HTTPTransfer) async throws -> T
    ) async throws -> T {
        var configuration = HTTPTransfer.Configuration()
        configuration.userAgent = "fabric-setup"
        configuration.certificateAuthorityFile = authorities
        let http = try HTTPTransfer(configuration: configuration)
        defer { http.shutdown() }
        return try await body(http)
    }
}
