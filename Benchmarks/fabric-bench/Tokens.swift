import ArgumentParser
import Foundation

/// A cached guild token against a mutex and a dictionary look-up.
struct Tokens: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "A cached guild token against a mutex and a dictionary.")

    @Option(help: "Agents in the cache.")
    var agents = 1000

    func run() throws {
        let agents = agents
        print(try waitFor { try await TokensBench.run(agents: agents) })
    }
}

/// Runs asynchronous work from a command that is not.
func waitFor<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws -> Value {
    let done = DispatchSemaphore(value: 0)
    let box = Box<Result<Value, any Error>?>(nil)
    Task.detached {
        let result: Result<Value, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        box.value.withLock { $0 = result }
        done.signal()
    }
    done.wait()
    guard let result = box.value.withLock({ $0 }) else { throw ValidationError("no result") }
    return try result.get()
}
