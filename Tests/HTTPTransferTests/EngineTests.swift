import Testing

@testable import HTTPTransfer

@Suite struct AdmissionTests {
    private func origin(_ host: String) throws -> HTTPOrigin { try HTTPURL("http://\(host)/").origin }

    @Test func firstComeFirstServedWithinTheLimit() throws {
        let host = try origin("a")
        var admission = Admission(.init(perOrigin: 2, perMultiplexedOrigin: 4))
        for id in 1...5 { admission.enqueue(UInt64(id), host, isFile: false) }
        #expect(admission.start() == [1, 2])
        #expect(admission.start() == [])
        admission.finished(host, isFile: false, wasMultiplexed: false)
        #expect(admission.start() == [3])
        admission.finished(host, isFile: false, wasMultiplexed: true)
        #expect(admission.start() == [4, 5])
    }

    @Test func hostsDoNotWaitForEachOther() throws {
        var admission = Admission(.init(perOrigin: 1, perMultiplexedOrigin: 1))
        for (id, host) in ["a", "a", "b"].enumerated() {
            admission.enqueue(UInt64(id), try origin(host), isFile: false)
        }
        #expect(admission.start().sorted() == [0, 2])
    }

    @Test func filesTakeHalf() throws {
        let host = try origin("a")
        var admission = Admission(.init(perOrigin: 4, perMultiplexedOrigin: 64))
        for id in 1...9 { admission.enqueue(UInt64(id), host, isFile: true) }
        admission.enqueue(10, host, isFile: false)
        #expect(admission.start() == [10, 1, 2])
        admission.finished(host, isFile: true, wasMultiplexed: false)
        #expect(admission.start() == [3])
    }

    @Test func nothingIsKeptOfWhatIsDone() throws {
        var admission = Admission(.init(perOrigin: 1, perMultiplexedOrigin: 1))
        for id in 0..<100 {
            let host = try origin("h\(id % 10)")
            admission.enqueue(UInt64(id), host, isFile: id % 3 == 0)
            if id % 2 == 0 { admission.remove(UInt64(id), host) }
        }
        for _ in 0..<100 {
            for id in admission.start() {
                admission.finished(try origin("h\(id % 10)"), isFile: id % 3 == 0, wasMultiplexed: false)
            }
        }
        #expect(admission.isEmpty)
    }
}

@Suite struct ClockTests {
    private let start = ContinuousClock.now
    private let deadlines = HTTPDeadlines(
        connect: .seconds(1), firstByte: .seconds(2), stall: .seconds(3), total: .seconds(100))

    @Test func eachPhaseHasItsOwn() {
        var clock = TransferClock(deadlines, began: start)
        #expect(clock.deadline?.phase == .total)
        clock.admitted(at: start.advanced(by: .seconds(50)))
        #expect(clock.deadline?.at == start.advanced(by: .seconds(51)))
        #expect(clock.deadline?.phase == .connect)
        clock.connected(hasBody: true, at: start.advanced(by: .seconds(60)))
        #expect(clock.deadline?.phase == .stall)
        clock.sentPiece(at: start.advanced(by: .seconds(62)))
        #expect(clock.deadline?.at == start.advanced(by: .seconds(65)))
        clock.sentAll(at: start.advanced(by: .seconds(63)))
        #expect(clock.deadline?.phase == .firstByte)
        #expect(clock.deadline?.at == start.advanced(by: .seconds(65)))
        clock.receivedPiece(at: start.advanced(by: .seconds(64)))
        #expect(clock.deadline?.at == start.advanced(by: .seconds(65)))
        clock.headComplete(at: start.advanced(by: .seconds(64)))
        #expect(clock.deadline?.phase == .stall)
        clock.receivedPiece(at: start.advanced(by: .seconds(98)))
        #expect(clock.deadline?.phase == .total)
        #expect(clock.deadline?.at == start.advanced(by: .seconds(100)))
    }

    @Test func aFileInTheQueueMayWait() {
        #expect(TransferClock(.file, began: start).deadline == nil)
    }
}

@Suite struct URLTests {
    @Test(arguments: [
        ("HTTP://Host.Example/a/../b#f", "http://Host.Example/b", "host.example", 80),
        ("https://h", "https://h/", "h", 443), ("http://[::1]:8080/x?y=z", "http://[::1]:8080/x?y=z", "[::1]", 8080),
        ("http://h/a b", "http://h/a%20b", "h", 80),
    ])
    func reading(_ text: String, _ normal: String, _ host: String, _ port: Int) throws {
        let url = try HTTPURL(text)
        #expect(url.text.lowercased() == normal.lowercased())
        #expect(url.origin.host == host)
        #expect(url.origin.port == port)
    }

    @Test func origins() throws {
        let url = try HTTPURL("http://h:80/a")
        #expect(try HTTPURL("http://H/b").origin == url.origin)
        #expect(try HTTPURL("https://h:80/b").origin != url.origin)
        #expect(try HTTPURL("http://h:81/b").origin != url.origin)
        #expect(try url.resolving("//x/y").origin.host == "x")
        #expect(try url.resolving("?q").text == "http://h:80/a?q")
    }

    @Test func encoding() {
        #expect(HTTPURL.encode("a/b ü?&~") == "a%2Fb%20%C3%BC%3F%26~")
    }
}

@Suite struct AddressTests {
    @Test(arguments: [
        "8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "192.169.0.1", "2606:4700::1111", "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ])
    func theWorlds(_ text: String) { #expect(PublicAddress.isPublic(text)) }

    @Test(arguments: [
        "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254", "64:ff9b::a00:1", "2002:7f00:1::", "2001:0:1::", "", "x", "fe80::1%eth0", "::7f00:1",
    ])
    func onesOwn(_ text: String) { #expect(!PublicAddress.isPublic(text)) }
}
