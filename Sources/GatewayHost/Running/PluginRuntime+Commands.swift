import GatewayControl
import JSONBytes

extension PluginRuntime {
    /// A command of the module's own. One about an account goes to the instance that serves it; one about all
    /// accounts to every instance that serves accounts; anything else to the present instance.
    nonisolated func command(
        _ name: String, _ arguments: [String: JSONValue], within limit: Duration? = nil
    ) async throws(ModuleRefusal) -> JSONValue {
        let account = arguments["accountId"]?.string ?? arguments["account"]?.string ?? ""
        let receipts: [PluginModule.CommandReceipt]
        if !account.isEmpty {
            receipts = [await slots.use(account) { $0.begin(command: name, arguments, within: limit) }].compactMap(
                \.self)
        } else if name.hasPrefix("deadLetters.") || arguments["all"]?.bool == true {
            receipts = await slots.useAll { $0.begin(command: name, arguments, within: limit) }
        } else {
            receipts = [module?.begin(command: name, arguments, within: limit)].compactMap(\.self)
        }
        guard let first = receipts.first else { throw ModuleRefusal(.unavailable, "the module is not open") }
        guard receipts.count > 1 else { return try await first.result() }
        var answers: [JSONValue] = []
        var refusals: [ModuleRefusal] = []
        for receipt in receipts {
            do throws(ModuleRefusal) { answers.append(try await receipt.result()) } catch { refusals.append(error) }
        }
        // “Invalid” is what an instance says that does not have the dead letter; anything else leaves the answer open.
        if let refusal = refusals.first(where: { $0.kind != .invalid }) ?? (answers.isEmpty ? refusals.first : nil) {
            throw refusal
        }
        return Self.joined(answers)
    }

    /// Which load of the module serves an account, once it does; nil where it serves none.
    nonisolated func generation(serving account: String) async -> ModuleGeneration? {
        await slots.use(account) { $0.generation }
    }

    /// One answer of several: lists of one name become one list, in which nothing is twice, and numbers are added.
    private static func joined(_ answers: [JSONValue]) -> JSONValue {
        .object(
            answers.reduce(into: [:]) { all, answer in
                all.merge(answer.object ?? [:]) { old, new in
                    switch (old, new) {
                    case (.array(let before), .array(let more)):
                        return .array(before + more.filter { !before.contains($0) })
                    case (.int(let before), .int(let more)):
                        return .int(before.addingReportingOverflow(more).partialValue)
                    default: return new
                    }
                }
            })
    }
}
