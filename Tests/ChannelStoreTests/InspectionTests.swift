import Foundation
import Testing

@testable import ChannelStore

/// Looking at a store's file without changing anything.
@Suite struct InspectionTests {
    private func look(_ scene: Scene, isInUse: Bool = false) -> StoreInspection {
        .of(scene.path, isInUse: isInUse)
    }

    @Test func aFileInOrder() async throws {
        let scene = Scene()
        #expect(look(scene).verdict == .missing)
        let store = scene.store()
        await store.write([.cursor(general, sequence: 7)])
        await store.write([.cursor(general, sequence: 8)], "b")
        let running = look(scene, isInUse: true)
        #expect(running.verdict == .good && running.accounts == 2 && running.version == running.knownVersion)
        store.close(within: .seconds(60))
        let names = try scene.files()
        let stopped = look(scene)
        #expect(stopped.verdict == .good && stopped.accounts == 2 && stopped.bytes > 0)
        #expect(try scene.files() == names, "a look leaves nothing behind")
        #expect(try scene.mode() == 0o600)
    }

    @Test func aNewerFileSaysWhatToDo() async throws {
        let scene = Scene()
        let store = scene.store(schema: StoreSchema(steps: StoreSchema.current.steps + ["CREATE TABLE later (x)"]))
        await store.write([.cursor(general, sequence: 7)])
        store.close(within: .seconds(60))
        guard case .bad(let problem, let remedy) = look(scene).verdict else {
            Issue.record("a file of a newer version passed for good")
            return
        }
        let known = StoreSchema.current.steps.count
        #expect(problem.contains("version \(known + 1)") && problem.contains("up to \(known)"), "\(problem)")
        #expect(remedy.contains("install the build that wrote") && remedy.contains("move it away"), "\(remedy)")
    }

    @Test func damageIsFound() async throws {
        let scene = Scene()
        let store = scene.store()
        for number in 0..<200 {
            await store.write([.delivery(delivery("d\(number)", String(repeating: "x", count: 900)))], "a")
        }
        store.close(within: .seconds(60))
        let whole = try Data(contentsOf: URL(fileURLWithPath: scene.path))
        var holes = whole
        holes.replaceSubrange(8192..<40_960, with: Data(repeating: 0xFF, count: 32_768))
        for content in [Data((0..<20_000).map { UInt8(truncatingIfNeeded: $0 * 31 + 7) }), whole.prefix(5000), holes] {
            try content.write(to: URL(fileURLWithPath: scene.path))
            guard case .bad(_, let remedy) = look(scene).verdict else {
                Issue.record("\(content.count) damaged bytes passed for good")
                continue
            }
            #expect(remedy.contains("check the disk"), "\(remedy)")
            #expect(try Data(contentsOf: URL(fileURLWithPath: scene.path)) == content, "it was changed")
        }
        #expect(try scene.files().allSatisfy { !$0.contains("corrupt") })
    }
}
