import Foundation
import HTTPTestServer
import HTTPTransfer
import JSONBytes
import Testing

@testable import FabricAPI

/// A guild and a Center whose answers the test gives.
func withFabric<T>(
    _ handler: @escaping TestServer.Handler, _ body: (FabricGuild, FabricCenter, TestServer) async throws -> T
) async throws -> T {
    let server = try TestServer(handler: handler)
    defer { server.stop() }
    let http = try HTTPTransfer(configuration: .init(usesEnvironmentProxy: false))
    defer { http.shutdown() }
    return try await body(
        try FabricGuild(nodeId: "sim-guild-1", endpoint: server.url, http: http),
        try FabricCenter(base: server.url + "/api", http: http), server)
}

/// The error of a call that must fail.
func failure<T>(_ body: () async throws(FabricError) -> T) async throws -> FabricError {
    do throws(FabricError) {
        _ = try await body()
    } catch {
        return error
    }
    Issue.record("it should have failed")
    throw CancellationError()
}

func withMessage<T>(_ json: String, _ body: (FabricMessageView?) throws -> T) throws -> T {
    let bytes = Array(json.utf8)
    return try bytes.withUnsafeBytes { bytes in
        let end = try JSONBytes.validate(bytes)
        return try body(FabricMessageView(JSONView(validated: bytes, start: 0, end: end)))
    }
}

let token = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDB9.abcdefghijklmnop"
