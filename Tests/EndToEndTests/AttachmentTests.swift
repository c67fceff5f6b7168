import FabricSimulator
import Foundation
import JSONBytes
import Testing

@Suite(.serialized) struct AttachmentTests {
    private func post(_ world: World, _ scene: World.Scene, _ attachments: [SimulatedAttachment]) async throws
        -> TestGateway.Delivery
    {
        try await world.sim.post(
            as: scene.human.id, in: scene.channel.id, content: "files", attachments: attachments)
        return try await world.gateway.delivery("the message with files") { $0.text == "files" }
    }

    @Test func aFileIsThereDuringTheTurnAndGoneAfterwards() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let bytes: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 1, 2, 3]
            let file = await world.sim.putFile(name: "blue.png", mediaType: "text/html", bytes: bytes)
            let delivery = try await post(world, scene, [file.attachment])
            let media = try #require(delivery.media.first)
            #expect(media["name"]?.string == "blue.png")
            #expect(media["mediaType"]?.string == "image/png", "the bytes decide, not the claim")
            #expect(media["bytes"]?.int == Int64(bytes.count))
            let path = try #require(media["path"]?.string)
            #expect(FileManager.default.contents(atPath: path).map(Array.init) == bytes)
            let folder = (path as NSString).deletingLastPathComponent
            let mode = try FileManager.default.attributesOfItem(atPath: folder)[.posixPermissions] as? Int
            #expect(mode == 0o700)
            world.plugin.settle(delivery.id, .finished)
            try await world.status("its folder to be gone") { _ in !FileManager.default.fileExists(atPath: folder) }
        }
    }

    @Test(arguments: [
        "../../etc/passwd", "/etc/passwd", "", "..", "a/../../b", "nul\u{0}byte", "line\r\nbreak",
        "\u{202E}gpj.exe", "\u{2215}etc\u{2215}passwd", String(repeating: "x", count: 5000), ".ssh",
    ])
    func hostileNamesStayInside(_ name: String) async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let file = await world.sim.putFile(name: "f", mediaType: "text/plain", bytes: Array("x".utf8))
            var attachment = file.attachment
            attachment.name = name
            let delivery = try await post(world, scene, [attachment, attachment])
            #expect(delivery.media.count == 2)
            for item in delivery.media {
                let path = try #require(item["path"]?.string)
                #expect(path.hasPrefix(world.directory + "/media/"))
                #expect(URL(fileURLWithPath: path).standardizedFileURL.path == path)
                #expect(FileManager.default.fileExists(atPath: path))
                let last = (path as NSString).lastPathComponent
                #expect(last.utf8.count <= 255 && !last.hasPrefix("."))
                #expect(!last.unicodeScalars.contains { $0.value < 0x20 })
            }
        }
    }

    @Test func overTheCapIsNamedAndTheMessageDelivered() async throws {
        try await withWorld { world in
            let scene = try await world.scene(["attachments": ["maximumMegabytes": .double(0.001)]])
            let file = await world.sim.putFile(
                name: "big.bin", mediaType: "application/octet-stream", bytes: [UInt8](repeating: 7, count: 5000))
            var silent = file.attachment
            silent.size = nil
            let delivery = try await post(world, scene, [file.attachment, silent])
            #expect(delivery.media.isEmpty)
            let failed = delivery.json["mediaFailed"]?.array ?? []
            #expect(failed.count == 2)
            #expect(failed.allSatisfy { $0["error"]?.string?.contains("1000 bytes") == true }, "\(failed)")
        }
    }

    @Test func aFailedDownloadDoesNotHideTheMessage() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let file = await world.sim.putFile(name: "gone.txt", mediaType: "text/plain", bytes: [1])
            await world.sim.removeFile(file)
            let delivery = try await post(world, scene, [file.attachment])
            #expect(delivery.json["mediaFailed"]?.array?.first?["name"]?.string == "gone.txt")
        }
    }

    @Test func anotherOriginGetsNoBearerNeitherDirectlyNorByRedirect() async throws {
        try await withWorld { world in
            let scene = try await world.scene(["attachments": ["allowPrivateAddresses": true]])
            let file = await world.sim.putFile(name: "f.txt", mediaType: "text/plain", bytes: Array("hi".utf8))
            let foreign = world.sim.foreignURL(of: file)
            let own = await world.sim.putFile(name: "r.txt", mediaType: "text/plain", bytes: Array("r".utf8))
            await world.sim.faults.add(RouteFault(method: "GET", path: "/api/files/\(own.id)", redirect: foreign))
            let delivery = try await post(
                world, scene, [SimulatedAttachment(url: foreign, name: "f.txt"), own.attachment])
            #expect(delivery.media.count == 2)
            let requests = await world.sim.foreignRequests
            #expect(requests.count == 2)
            #expect(requests.allSatisfy { !$0.hadAuthorization })
        }
    }

    @Test func aForeignFileOnAPrivateAddressIsRefusedUnlessAllowed() async throws {
        try await withWorld { world in
            let scene = try await world.scene()
            let file = await world.sim.putFile(name: "f.txt", mediaType: "text/plain", bytes: Array("hi".utf8))
            let delivery = try await post(
                world, scene,
                [SimulatedAttachment(url: world.sim.foreignURL(of: file), name: "f.txt"), file.attachment])
            #expect(delivery.media.count == 1, "the guild's own file comes, wherever the guild is")
            #expect(delivery.json["mediaFailed"]?.array?.count == 1)
            #expect(await world.sim.foreignRequests.isEmpty)
        }
    }
}
