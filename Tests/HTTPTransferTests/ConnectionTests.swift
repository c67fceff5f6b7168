import Foundation
import HTTPTestServer
import HTTPTransfer
import Testing

@Suite struct ConnectionTests {
    @Test func oneConnectionForManyRequests() async throws {
        try await withServer {
            $1.respond(200, body: "ok")
        } _: { server in
            try await withTransfer { transfer in
                for number in 0..<50 { _ = try await transfer.perform(HTTPRequest(.get, server.url + "/\(number)")) }
                #expect(server.connections == 1)
                #expect(server.requests.count == 50)
            }
        }
    }

    @Test func manyAtOnceShareFewConnections() async throws {
        try await withServer { request, connection in
            connection.respond(200, body: request.target)
        } _: { server in
            try await withTransfer { transfer in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<200 {
                        group.addTask {
                            let response = try await transfer.perform(HTTPRequest(.get, server.url + "/\(number)"))
                            #expect(String(decoding: response.body, as: UTF8.self) == "/\(number)")
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(server.requests.count == 200)
                #expect(server.mostOpen <= 8)
            }
        }
    }

    @Test func filesDoNotBlockRequests() async throws {
        let scratch = try Scratch()
        let began = Signal()
        try await withServer { request, connection in
            if request.target == "/file" {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
                began.raise()
                connection.stall()
            } else {
                connection.respond(200)
            }
        } _: { server in
            try await withTransfer { transfer in
                let files = (0..<20).map { number in
                    let path = scratch.file("\(number)")
                    return Task {
                        try await transfer.download(
                            HTTPRequest(.get, server.url + "/file", deadlines: .file), to: path, maximumBytes: 100)
                    }
                }
                await began.wait()
                let response = try await transfer.perform(HTTPRequest(.get, server.url + "/small"))
                #expect(response.status == 200)
                #expect(server.requests.filter { $0.target == "/file" }.count <= 4)
                for file in files { file.cancel() }
                for file in files {
                    await #expect(throws: HTTPTransferError.self) { try await file.value }
                }
                #expect(scratch.names.isEmpty)
            }
        }
    }

    @Test func theTotalCountsTheQueue() async throws {
        let began = Signal()
        try await withServer { _, connection in
            began.raise()
            connection.stall()
        } _: { server in
            try await withTransfer(.init(maximumConnectionsPerHost: 1, usesEnvironmentProxy: false)) { transfer in
                let first = Task { () -> HTTPTransferError in
                    try await failure { () throws(HTTPTransferError) in
                        try await transfer.perform(HTTPRequest(.post, server.url, body: [1], deadlines: .file))
                    }
                }
                // It has the only connection.
                await began.wait()
                let deadlines = HTTPDeadlines(firstByte: .seconds(20), total: .milliseconds(200))
                let results = await withTaskGroup(of: HTTPTransferError?.self) { group in
                    for _ in 0..<5 {
                        group.addTask {
                            try? await failure { () throws(HTTPTransferError) in
                                try await transfer.perform(
                                    HTTPRequest(.post, server.url, body: [1], deadlines: deadlines))
                            }
                        }
                    }
                    return await group.reduce(into: []) { $0.append($1) }
                }
                #expect(results.count == 5)
                #expect(results.allSatisfy { $0?.kind == .timedOut(.total) })
                // What never left the queue was certainly not sent.
                #expect(results.allSatisfy { $0?.requestSent == false })
                first.cancel()
                let error = try await first.value
                #expect(error.requestSent)
            }
        }
    }

    @Test func cancellingEndsATransfer() async throws {
        let began = Signal()
        try await withServer { _, connection in
            began.raise()
            connection.stall()
        } _: { server in
            try await withTransfer { transfer in
                let task = Task { () -> HTTPTransferError in
                    try await failure { () throws(HTTPTransferError) in
                        try await transfer.perform(HTTPRequest(.get, server.url))
                    }
                }
                await began.wait()
                task.cancel()
                let error = try await task.value
                #expect(error.kind == .cancelled)
                #expect(error.requestSent)
            }
        }
    }

    @Test func cancelledBeforeItBegan() async throws {
        try await withServer {
            $1.respond(200)
        } _: { server in
            try await withTransfer { transfer in
                let task = Task { () -> HTTPTransferError in
                    withUnsafeCurrentTask { $0?.cancel() }
                    return try await failure { () throws(HTTPTransferError) in
                        try await transfer.perform(HTTPRequest(.get, server.url))
                    }
                }
                let error = try await task.value
                #expect(error.kind == .cancelled)
                #expect(server.requests.isEmpty)
            }
        }
    }

    @Test func shutdownEndsEverything() async throws {
        let began = Signal()
        try await withServer { _, connection in
            began.raise()
            connection.stall()
        } _: { server in
            let transfer = try HTTPTransfer(
                configuration: .init(maximumConnectionsPerHost: 2, usesEnvironmentProxy: false))
            let tasks = (0..<20).map { _ in
                Task { () -> HTTPTransferError in
                    try await failure { () throws(HTTPTransferError) in
                        try await transfer.perform(HTTPRequest(.get, server.url))
                    }
                }
            }
            await began.wait()
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<4 { group.addTask { transfer.shutdown() } }
            }
            for task in tasks {
                let error = try await task.value
                #expect(error.kind == .shutDown)
            }
            let late = try await failure { () throws(HTTPTransferError) in
                try await transfer.perform(HTTPRequest(.get, server.url))
            }
            #expect(late.kind == .shutDown)
            transfer.shutdown()
        }
    }

    @Test func noThreadIsLeft() async throws {
        for _ in 0..<20 {
            let transfer = try HTTPTransfer(
                configuration: .init(usesEnvironmentProxy: false, threadName: "h-left-test"))
            transfer.shutdown()
        }
        do { _ = try HTTPTransfer(configuration: .init(usesEnvironmentProxy: false, threadName: "h-left-test")) }
        // Who waits for a thread hears of its end a moment before the system takes it off this list.
        func isListed() throws -> Bool {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").contains {
                (try? String(contentsOfFile: "/proc/self/task/\($0)/comm", encoding: .utf8)) == "h-left-test\n"
            }
        }
        let end = ContinuousClock.now.advanced(by: .seconds(60))
        while try isListed(), .now < end { try await Task.sleep(for: .milliseconds(5)) }
        #expect(try !isListed())
    }

    @Test func aMissingAuthorityFileIsSaid() throws {
        #expect {
            _ = try HTTPTransfer(configuration: .init(certificateAuthorityFile: "/nonexistent.pem"))
        } throws: { error in
            (error as? HTTPTransferError)?.kind == .file(path: "/nonexistent.pem", errno: ENOENT)
        }
    }

    /// Requests, files and cancellations in disorder, and an end in their midst: every call ends, exactly once.
    @Test(arguments: 0..<5)
    func everyCallEnds(_ round: Int) async throws {
        let scratch = try Scratch()
        try await withServer { request, connection in
            switch request.target.last {
            case "0", "1": connection.close()
            case "2": connection.stall()
            default: connection.respond(200, bytes: [UInt8](repeating: 1, count: 50_000))
            }
        } _: { server in
            let transfer = try HTTPTransfer(configuration: .init(usesEnvironmentProxy: false))
            let deadlines = HTTPDeadlines(firstByte: .milliseconds(50), total: .seconds(20))
            let ended = await withTaskGroup(of: Void.self) { group in
                for number in 0..<400 {
                    let request = HTTPRequest(
                        number % 3 == 0 ? .post : .get, server.url + "/\(number)",
                        body: number % 3 == 0 ? [1, 2] : nil,
                        deadlines: deadlines)
                    let path = scratch.file("\(number)")
                    let task = Task {
                        if number % 5 == 1, request.method == .get {
                            _ = try await transfer.download(request, to: path, maximumBytes: 100_000)
                        } else {
                            _ = try await transfer.perform(request)
                        }
                    }
                    group.addTask { _ = await task.result }
                    if number % 4 == round % 4 { task.cancel() }
                }
                var ended = 0
                for await _ in group {
                    ended += 1
                    if ended == 40 + round * 80 { transfer.shutdown() }
                }
                return ended
            }
            #expect(ended == 400)
            #expect(scratch.names.allSatisfy { !$0.hasSuffix(".part") })
        }
    }
}
