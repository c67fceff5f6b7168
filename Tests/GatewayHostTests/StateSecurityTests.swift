import Foundation
import GatewayControl
import JSONBytes
import Testing

@testable import GatewayHost

/// The state directory, the files in it, and its door.
@Suite struct StateSecurityTests {
    func refusal(_ directory: String) -> String {
        do {
            _ = try StateLock(directory: directory)
            return "taken"
        } catch {
            return "\(error)"
        }
    }

    @Test func aLockThatIsALinkIsNotFollowed() throws {
        let scratch = try Scratch()
        let victim = try scratch.write("precious", to: "victim")
        let state = scratch.path + "/state"
        try Files.makePrivateDirectory(state)
        #expect(symlink(victim, state + "/gateway.lock") == 0)
        #expect(refusal(state).contains("symbolic link"))
        unlink(state + "/gateway.lock")
        #expect(link(victim, state + "/gateway.lock") == 0)
        #expect(refusal(state).contains("hard links"))
        #expect(String(decoding: try Files.read(victim), as: UTF8.self) == "precious")
        unlink(state + "/gateway.lock")
        #expect(refusal(state) == "taken")
    }

    @Test func aDirectoryThatOthersMayWriteIsRefused() throws {
        let scratch = try Scratch()
        for mode: mode_t in [0o777, 0o770, 0o702] {
            chmod(scratch.path, mode)
            #expect(refusal(scratch.path).contains("others may write"), "\(String(mode, radix: 8))")
        }
        chmod(scratch.path, 0o755)
        #expect(refusal(scratch.path) == "taken")
    }

    @Test func folderInTheStateDirectoryMustBeReal() throws {
        let scratch = try Scratch()
        let elsewhere = scratch.path + "/elsewhere"
        try Files.makePrivateDirectory(elsewhere)
        _ = try scratch.write("precious", to: "elsewhere/file")
        for name in ["modules", "turns"] { #expect(symlink(elsewhere, scratch.path + "/" + name) == 0) }
        #expect(throws: POSIXFailure.self) { try ModuleDirectory(path: scratch.path + "/modules") }
        // What is left of turns is removed, and the link with it; what it pointed at stays.
        _ = try TurnDirectories(stateDirectory: scratch.path)
        #expect(Files.names(in: elsewhere) == ["file"])
        var facts = stat()
        #expect(lstat(scratch.path + "/turns", &facts) == 0 && facts.st_mode & S_IFMT == S_IFDIR)
    }

    @Test func idleConnectionsDoNotBlockTheDoor() async throws {
        let scratch = try Scratch()
        let server = try ControlServer(
            stateDirectory: scratch.path, patience: .seconds(2), logger: LogLines().logger()
        ) { _ in ControlAnswer.success(7) }
        let path = scratch.path
        let answer = try await blocking { () -> JSONValue? in
            guard let address = try? ControlAddress(stateDirectory: path) else { return nil }
            var idle: [Int32] = []
            defer { for descriptor in idle { close(descriptor) } }
            for index in 0..<ControlServer.maximumConnections + 8 {
                guard let descriptor = try? ControlAddress.socket() else { return nil }
                idle.append(descriptor)
                guard address.lend({ connect(descriptor, $0, $1) }) == 0 else { return nil }
                // Some say nothing, some a part of a request.
                if index % 2 == 0 { _ = send(descriptor, "{\"n\"", 4, Int32(MSG_NOSIGNAL)) }
            }
            let answer = try? ControlClient.ask([:], stateDirectory: path, within: .seconds(60))
            var refusal = [UInt8](repeating: 0, count: 4096)
            guard let first = idle.first, read(first, &refusal, refusal.count) > 0,
                String(decoding: refusal, as: UTF8.self).contains("no whole request came")
            else { return nil }
            return answer
        }
        #expect(answer == 7)
        await server.stop()
    }

    /// Two requests at once, and an answer that nobody reads: it is closed, though the second is whole.
    @Test func answersThatNobodyReadsAreNotKept() async throws {
        let scratch = try Scratch()
        let large = JSONValue.string(String(repeating: "x", count: 4 << 20))
        let server = try ControlServer(
            stateDirectory: scratch.path, patience: .milliseconds(100), logger: LogLines().logger()
        ) { _ in ControlAnswer.success(large) }
        let path = scratch.path
        let isClosed = try await blocking { () -> Bool in
            guard let address = try? ControlAddress(stateDirectory: path), let socket = try? ControlAddress.socket()
            else { return false }
            defer { close(socket) }
            guard address.lend({ connect(socket, $0, $1) }) == 0 else { return false }
            _ = send(socket, "{}\n{}\n", 6, Int32(MSG_NOSIGNAL))
            var entry = pollfd(fd: socket, events: 0, revents: 0)
            return poll(&entry, 1, 60_000) == 1 && entry.revents & Int16(POLLHUP) != 0
        }
        #expect(isClosed)
        await server.stop()
    }

    @Test func aRequestThatTricklesIsNotWaitedForForEver() async throws {
        let scratch = try Scratch()
        let server = try ControlServer(
            stateDirectory: scratch.path, patience: .milliseconds(100), logger: LogLines().logger()
        ) { _ in ControlAnswer.success(7) }
        let path = scratch.path
        let heard = try await blocking { () -> String in
            guard let address = try? ControlAddress(stateDirectory: path), let socket = try? ControlAddress.socket()
            else { return "no socket" }
            defer { close(socket) }
            guard address.lend({ connect(socket, $0, $1) }) == 0 else { return "no connection" }
            // A byte now and then, so that it is never silent for long.
            let end = ContinuousClock.now.advanced(by: .seconds(30))
            while .now < end {
                _ = send(socket, " ", 1, Int32(MSG_NOSIGNAL))
                var polled = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
                guard poll(&polled, 1, 20) > 0 else { continue }
                var answer = [UInt8](repeating: 0, count: 4096)
                return String(decoding: answer[..<max(0, read(socket, &answer, answer.count))], as: UTF8.self)
            }
            return "it was waited for"
        }
        #expect(heard.contains("no whole request came"), "\(heard)")
        await server.stop()
    }

    /// Whoever goes on sending while a request is under way is not read: nothing heaps up here.
    @Test func whatIsSentDuringARequestWaitsWithItsSender() async throws {
        let scratch = try Scratch()
        let go = Once<Void>()
        let server = try ControlServer(
            stateDirectory: scratch.path, patience: .seconds(60), logger: LogLines().logger()
        ) { _ in
            await go.value()
            return ControlAnswer.success(7)
        }
        let path = scratch.path
        let answers = try await blocking { () -> Int in
            guard let address = try? ControlAddress(stateDirectory: path), let socket = try? ControlAddress.socket()
            else { return -1 }
            defer { close(socket) }
            guard address.lend({ connect(socket, $0, $1) }) == 0 else { return -2 }
            _ = fcntl(socket, F_SETFL, O_NONBLOCK)
            let request = Array("{}\n".utf8) + [UInt8](repeating: UInt8(ascii: " "), count: 65_533)
            var sent = 0
            while true {
                let count = send(socket, request, request.count, Int32(MSG_NOSIGNAL))
                if count > 0 {
                    sent += count
                    guard sent < 16 << 20 else { return -3 }
                    continue
                }
                // Nobody takes it any more.
                var polled = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
                if poll(&polled, 1, 500) == 0 { break }
            }
            // And when the request is over the next is read.
            go.decide(())
            var lines = 0
            while lines < 2 {
                var polled = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
                guard poll(&polled, 1, 30_000) > 0 else { return -4 }
                var answer = [UInt8](repeating: 0, count: 4096)
                let count = read(socket, &answer, answer.count)
                guard count > 0 else { return -5 }
                lines += answer[..<count].count { $0 == UInt8(ascii: "\n") }
            }
            return lines
        }
        #expect(answers >= 2, "\(answers)")
        await server.stop()
    }

    @Test func aServerThatSaysNothingIsCalledFrozen() async throws {
        let scratch = try Scratch()
        let lock = try StateLock(directory: scratch.path)
        let address = try ControlAddress(stateDirectory: scratch.path)
        let listener = try ControlAddress.socket()
        defer { close(listener) }
        #expect(address.lend { bind(listener, $0, $1) } == 0 && listen(listener, 1) == 0)
        let path = scratch.path
        // Often enough that the queue of those who wait is full too.
        for _ in 0..<4 {
            let error = try await blocking { () -> String in
                do {
                    _ = try ControlClient.ask([:], stateDirectory: path, within: .milliseconds(100))
                    return "answered"
                } catch {
                    return "\(error)"
                }
            }
            #expect(error.contains("process \(getpid())") && error.contains("frozen"), "\(error)")
        }
        withExtendedLifetime(lock) {}
    }

    @Test func descriptorsAreHeldBackAndKeepTheirNumbers() throws {
        let reserve = DescriptorReserve()
        reserve.hold(20)
        #expect(reserve.held == 20)
        let made = try (0..<5).map { _ in
            try reserve.making(1) { () throws(POSIXFailure) in open("/dev/zero", O_RDONLY) }
        }
        #expect(made.allSatisfy { $0 >= 0 } && reserve.held == 15)
        #expect(throws: POSIXFailure.self) {
            try reserve.making(2) { () throws(POSIXFailure) in throw POSIXFailure(operation: "making", code: EMFILE) }
        }
        #expect(reserve.held == 15)
        for descriptor in made { reserve.giveBack(descriptor) }
        #expect(reserve.held == 20)
        // The same numbers, and other files behind them: nobody could take them in between.
        for descriptor in made {
            var byte: UInt8 = 1
            #expect(read(descriptor, &byte, 1) == 0, "it is /dev/null now")
        }
        reserve.hold(3)
        #expect(reserve.held == 3)
    }
}
