import JSONBytes
import Testing

@testable import SocketIO

/// A packet, written down.
struct Plain: Equatable {
    var kind: SocketPacketKind
    var namespace = ""
    var id: UInt64?
    var data: String?
    var attachments: [[UInt8]] = []
}

/// Feeds messages to a fresh decoder; binary ones are given as bytes.
func decode(
    _ text: [UInt8], _ attachments: [[UInt8]] = [], limits: PacketDecoder.Limits = .init()
) throws(PacketError) -> Plain? {
    var decoder = PacketDecoder(limits: limits)
    let first: Result<Plain?, PacketError> = text.withUnsafeBytes { bytes in
        do throws(PacketError) {
            guard case .message(let view)? = try decoder.decode(text: bytes) else { return .success(nil) }
            return .success(Plain(view))
        } catch {
            return .failure(error)
        }
    }
    var plain = try first.get()
    for attachment in attachments {
        let next: Result<Plain?, PacketError> = attachment.withUnsafeBytes { bytes in
            do throws(PacketError) {
                return .success(try decoder.decode(binary: bytes)?.withView { Plain($0) })
            } catch {
                return .failure(error)
            }
        }
        plain = try next.get()
    }
    return plain
}

func decode(_ text: String, _ attachments: [[UInt8]] = []) throws(PacketError) -> Plain? {
    try decode(Array(text.utf8), attachments)
}

extension Plain {
    init(_ view: SocketPacketView) {
        kind = view.kind
        namespace = String(decoding: view.namespace, as: UTF8.self)
        id = view.id
        data = view.payload.map { String(decoding: $0.rawBytes, as: UTF8.self) }
        attachments = view.attachments
    }
}

struct DecoderTests {
    static let valid: [(String, [[UInt8]], Plain)] = [
        ("40", [], Plain(kind: .connect)),
        (#"40{"sid":"x"}"#, [], Plain(kind: .connect, data: #"{"sid":"x"}"#)),
        ("40/admin", [], Plain(kind: .connect, namespace: "/admin")),
        ("40/admin,", [], Plain(kind: .connect, namespace: "/admin")),
        (#"40/woot,{"token":"123"}"#, [], Plain(kind: .connect, namespace: "/woot", data: #"{"token":"123"}"#)),
        ("41", [], Plain(kind: .disconnect)),
        ("41/a", [], Plain(kind: .disconnect, namespace: "/a")),
        ("41/a,", [], Plain(kind: .disconnect, namespace: "/a")),
        (#"42["a",1,{}]"#, [], Plain(kind: .event, data: #"["a",1,{}]"#)),
        (#"42[1,"a",{}]"#, [], Plain(kind: .event, data: #"[1,"a",{}]"#)),
        (#"42[""]"#, [], Plain(kind: .event, data: #"[""]"#)),
        ("42[1.1]", [], Plain(kind: .event, data: "[1.1]")),
        (#"42/test,1["a",1,{}]"#, [], Plain(kind: .event, namespace: "/test", id: 1, data: #"["a",1,{}]"#)),
        (#"42/b-a-r,["f-o-o"]"#, [], Plain(kind: .event, namespace: "/b-a-r", data: #"["f-o-o"]"#)),
        (#"425["test"]"#, [], Plain(kind: .event, id: 5, data: #"["test"]"#)),
        (#"42/,1["a"]"#, [], Plain(kind: .event, id: 1, data: #"["a"]"#)),
        (#"43123["a",1,{}]"#, [], Plain(kind: .acknowledgement, id: 123, data: #"["a",1,{}]"#)),
        ("431[]", [], Plain(kind: .acknowledgement, id: 1, data: "[]")),
        (
            #"43/swift,0[["t3","t4"]]"#, [],
            Plain(kind: .acknowledgement, namespace: "/swift", id: 0, data: #"[["t3","t4"]]"#)
        ),
        (#"44"Unauthorized""#, [], Plain(kind: .connectError, data: #""Unauthorized""#)),
        (#"44{"message":"m"}"#, [], Plain(kind: .connectError, data: #"{"message":"m"}"#)),
        (
            #"451-/cool,23["a",{"_placeholder":true,"num":0}]"#, [[1]],
            Plain(
                kind: .event, namespace: "/cool", id: 23, data: #"["a",{"_placeholder":true,"num":0}]"#,
                attachments: [[1]])
        ),
        (
            #"461-/back,127["a",{"_placeholder":true,"num":0},{}]"#, [[2, 3]],
            Plain(
                kind: .acknowledgement, namespace: "/back", id: 127,
                data: #"["a",{"_placeholder":true,"num":0},{}]"#, attachments: [[2, 3]])
        ),
        (
            #"452-["m",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#, [[1, 2, 3], [4, 5, 6]],
            Plain(
                kind: .event, data: #"["m",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#,
                attachments: [[1, 2, 3], [4, 5, 6]])
        ),
        (
            #"451-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#, [[7]],
            Plain(
                kind: .event, data: #"["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#,
                attachments: [[7]])
        ),
        (#"451-["a"]"#, [[1]], Plain(kind: .event, data: #"["a"]"#, attachments: [[1]])),
        (#"450-["a"]"#, [], Plain(kind: .event, data: #"["a"]"#)),
        ("42", [], Plain(kind: .event)),
        ("43", [], Plain(kind: .acknowledgement)),
        ("431", [], Plain(kind: .acknowledgement, id: 1)),
        ("44", [], Plain(kind: .connectError)),
        (#"42["__proto__",{"__proto__":{}}]"#, [], Plain(kind: .event, data: #"["__proto__",{"__proto__":{}}]"#)),
        (#"42["a",1e999]"#, [], Plain(kind: .event, data: #"["a",1e999]"#)),
        (#"42/a?q=1,["x"]"#, [], Plain(kind: .event, namespace: "/a?q=1", data: #"["x"]"#)),
        (#"4218446744073709551615["x"]"#, [], Plain(kind: .event, id: .max, data: #"["x"]"#)),
        (#"42["a","\ud800"]"#, [], Plain(kind: .event, data: #"["a","\ud800"]"#)),
        (#"42["a",{"_placeholder":true}]"#, [], Plain(kind: .event, data: #"["a",{"_placeholder":true}]"#)),
    ]

    @Test(arguments: valid.indices) func takesWhatIsRight(_ index: Int) throws {
        let (text, attachments, packet) = Self.valid[index]
        #expect(try decode(text, attachments) == packet)
    }

    static let malformed: [(String, PacketError)] = [
        ("", .empty), ("4", .empty),
        ("45", .illegalAttachmentCount), ("451", .illegalAttachmentCount), ("45a-", .illegalAttachmentCount),
        ("451.23-", .illegalAttachmentCount), (#"451e1-["a"]"#, .illegalAttachmentCount),
        (#"45 1-["a"]"#, .illegalAttachmentCount), (#"450x1-["a"]"#, .illegalAttachmentCount),
        (#"45-["a"]"#, .illegalAttachmentCount), (#"45-1-["a"]"#, .illegalAttachmentCount),
        (#"4565-["a"]"#, .tooManyAttachments(limit: 64)),
        (#"4599999999999999999999999999-["a"]"#, .tooManyAttachments(limit: 64)),
        ("47", .unknownType(0x37)), ("4999", .unknownType(0x39)), ("4-", .unknownType(0x2D)),
        ("42[]", .illegalPayload(.event)), ("42{}", .illegalPayload(.event)),
        ("42/admin,{}", .illegalPayload(.event)), (#"42[true,"x"]"#, .illegalPayload(.event)),
        (#"42[null,"x"]"#, .illegalPayload(.event)), (#"42[{"toString":"foo"}]"#, .illegalPayload(.event)),
        (#"42["connect"]"#, .reservedEventName), (#"42["connect_error"]"#, .reservedEventName),
        (#"42["disconnect","1"]"#, .reservedEventName), (#"42["disconnecting"]"#, .reservedEventName),
        (#"42["newListener"]"#, .reservedEventName), (#"42["removeListener"]"#, .reservedEventName),
        (#"42["\u0063onnect"]"#, .reservedEventName),
        ("40[]", .illegalPayload(.connect)), (#"40/admin,"invalid""#, .illegalPayload(.connect)),
        ("40null", .illegalPayload(.connect)),
        ("41/admin,{}", .illegalPayload(.disconnect)), ("431{}", .illegalPayload(.acknowledgement)),
        ("44[1]", .illegalPayload(.connectError)),
        (#"42["a"]x"#, .trailingBytes(offset: 7)), (#"42-1["x"]"#, .illegalPayload(.event)),
        (#"42 1["x"]"#, .illegalPayload(.event)), (#"42 ["x"]"#, .illegalPayload(.event)),
        ("42\u{feff}[\"a\"]", .illegalPayload(.event)),
        (#"4218446744073709551616["x"]"#, .identifierOutOfRange),
        (#"42212345678901234567890["x"]"#, .identifierOutOfRange),
        (#"451-["a",{"_placeholder":true,"num":"splice"}]"#, .illegalPlaceholder),
        (#"451-["a",{"_placeholder":true,"num":1}]"#, .illegalPlaceholder),
        (#"451-["a",{"_placeholder":true,"num":-1}]"#, .illegalPlaceholder),
        (#"451-["a",{"_placeholder":true,"num":0.5}]"#, .illegalPlaceholder),
        (#"451-["a",[{"b":{"_placeholder":true}}]]"#, .illegalPlaceholder),
        (#"450-["a",{"_placeholder":true,"num":0}]"#, .illegalPlaceholder),
        ("451-", .illegalPayload(.event)), ("461-1", .illegalPayload(.acknowledgement)),
        ("a123", .unknownEngineType(0x61)), ("{", .unknownEngineType(0x7B)), ("bAQIDBA==", .unknownEngineType(0x62)),
        ("42/" + String(repeating: "n", count: 600) + ",[\"a\"]", .illegalNamespace),
        ("42[\"" + String(repeating: "n", count: 1_100_000) + "\"]", .eventNameTooLong(limit: 256)),
    ]

    @Test(arguments: malformed.indices) func refusesWhatIsWrong(_ index: Int) throws {
        let (text, error) = Self.malformed[index]
        #expect(throws: error) { _ = try decode(text) }
    }

    @Test(arguments: [
        #"442["some","data""#, #"42/admin,"invalid"#, #"42["a",]"#, #"42["a" 1]"#, "42[\"a\u{0}\"]", #"42["a",01]"#,
        #"42["a",NaN]"#, #"42["a",'b']"#, #"44{"message":}"#, #"40{sid:1}"#,
    ]) func refusesBrokenJSON(_ text: String) {
        #expect(throws: PacketError.self) { _ = try decode(text) }
    }

    @Test func everyTruncationIsAnErrorOrAWholePacket() throws {
        let text = Array(#"452-/room,17["näme",{"_placeholder":true,"num":1},"\u00e4\n",[1.5e3,-0,null,true]]"#.utf8)
        for end in 0..<text.count {
            do throws(PacketError) {
                _ = try decode(Array(text[..<end]))
                // Only the bare head of a namespace-less packet could be whole; this one has none.
                Issue.record("\(end) bytes were taken")
            } catch {
                continue
            }
        }
        #expect(try decode(text) == nil)
        let plain = Array(#"42["a",{"b":[1,2,{"c":"d"}]}]"#.utf8)
        for end in 3..<plain.count {
            #expect(throws: PacketError.self) { _ = try decode(Array(plain[..<end])) }
        }
    }

    @Test func everyByteFlippedIsNoTrap() {
        let text = Array(#"452-/room,17["näme",{"_placeholder":true,"num":1},"\u00e4\n",[1.5e3,-0,null,true]]"#.utf8)
        for index in text.indices {
            for value in UInt8.min...UInt8.max {
                var changed = text
                changed[index] = value
                _ = try? decode(changed, [[1], [2]])
            }
        }
    }

    @Test func nesting() throws {
        func nested(_ depth: Int, _ inner: String = "") -> [UInt8] {
            let (left, right) = (String(repeating: "[", count: depth), String(repeating: "]", count: depth))
            return Array("42[\"a\",\(left)\(inner)\(right)]".utf8)
        }
        #expect(try decode(nested(63)) != nil)
        for depth in [64, 20_000, 200_000] {
            #expect(throws: PacketError.self) { _ = try decode(nested(depth)) }
        }
        let deep = nested(20_000, #"{"_placeholder":true,"num":0}"#)
        #expect(throws: PacketError.self) { _ = try decode(Array("451-".utf8) + deep.dropFirst(2)) }
        let objects = String(repeating: #"{"a":"#, count: 100_000)
        #expect(throws: PacketError.self) { _ = try decode("42[\"a\"," + objects) }
    }

    @Test(
        arguments: [
            [0x80], [0xC0, 0x80], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xFF], [0xC3],
        ] as [[UInt8]]) func invalidUTF8(_ bytes: [UInt8])
    {
        let event = Array("42[\"a\",\"".utf8) + bytes + Array("\"]".utf8)
        #expect(throws: PacketError.self) { _ = try decode(event) }
        let name = Array("42[\"".utf8) + bytes + Array("\"]".utf8)
        #expect(throws: PacketError.self) { _ = try decode(name) }
        let namespace = Array("42/".utf8) + bytes + Array(",[\"a\"]".utf8)
        #expect(throws: PacketError.illegalNamespace) { _ = try decode(namespace) }
    }

    @Test func attachmentsOutOfTurn() throws {
        var decoder = PacketDecoder()
        let header = Array(#"452-["a",{"_placeholder":true,"num":0}]"#.utf8)
        let text = Array(#"42["b"]"#.utf8)
        let ping = Array("2".utf8)
        func feed(text bytes: [UInt8]) throws(PacketError) -> Bool {
            let result: Result<Bool, PacketError> = bytes.withUnsafeBytes { bytes in
                do throws(PacketError) { return .success(try decoder.decode(text: bytes) != nil) } catch {
                    return .failure(error)
                }
            }
            return try result.get()
        }
        func feed(binary bytes: [UInt8]) throws(PacketError) -> Bool {
            let result: Result<Bool, PacketError> = bytes.withUnsafeBytes { bytes in
                do throws(PacketError) { return .success(try decoder.decode(binary: bytes) != nil) } catch {
                    return .failure(error)
                }
            }
            return try result.get()
        }
        #expect(throws: PacketError.attachmentNotExpected) { _ = try feed(binary: [1]) }
        #expect(try feed(text: header) == false)
        #expect(try feed(binary: [1]) == false)
        #expect(try feed(text: ping) == true)
        #expect(throws: PacketError.textWhileAttachmentsExpected) { _ = try feed(text: text) }
        // Afterwards it starts afresh.
        #expect(try feed(text: text) == true)
        #expect(throws: PacketError.attachmentNotExpected) { _ = try feed(binary: [1]) }
        #expect(try feed(text: header) == false)
        decoder.reset()
        #expect(!decoder.isExpectingAttachments)
        decoder.limits.maximumPacketBytes = 100
        #expect(try feed(text: header) == false)
        #expect(throws: PacketError.packetTooLarge(limit: 100)) {
            _ = try feed(binary: [UInt8](repeating: 0, count: 90))
        }
        decoder.limits.maximumFrameBytes = 10
        #expect(throws: PacketError.frameTooLarge(bytes: header.count, limit: 10)) { _ = try feed(text: header) }
    }

    @Test func handshakes() throws {
        func handshake(_ json: String) throws(PacketError) -> EngineHandshake? {
            var decoder = PacketDecoder()
            let result: Result<EngineHandshake?, PacketError> = Array("0\(json)".utf8).withUnsafeBytes { bytes in
                do throws(PacketError) {
                    guard case .open(let handshake)? = try decoder.decode(text: bytes) else { return .success(nil) }
                    return .success(handshake)
                } catch {
                    return .failure(error)
                }
            }
            return try result.get()
        }
        let right = try handshake(#"{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":7}"#)
        #expect(right?.sessionID == "s")
        #expect(right?.pingInterval == .seconds(25))
        #expect(right?.pingTimeout == .seconds(20))
        #expect(right?.maximumPayload == 7)
        for (json, field) in [
            (#"{"pingInterval":1,"pingTimeout":1}"#, "sid"), (#"{"sid":7,"pingInterval":1,"pingTimeout":1}"#, "sid"),
            (#"{"sid":"","pingInterval":1,"pingTimeout":1}"#, "sid"),
            (#"{"sid":"s","pingTimeout":1}"#, "pingInterval"),
            (#"{"sid":"s","pingInterval":0,"pingTimeout":1}"#, "pingInterval"),
            (#"{"sid":"s","pingInterval":-5,"pingTimeout":1}"#, "pingInterval"),
            (#"{"sid":"s","pingInterval":"25000","pingTimeout":1}"#, "pingInterval"),
            (#"{"sid":"s","pingInterval":1e999,"pingTimeout":1}"#, "pingInterval"),
            (#"{"sid":"s","pingInterval":1,"pingTimeout":null}"#, "pingTimeout"), ("[]", "the whole"),
        ] {
            #expect(throws: PacketError.invalidHandshake(field: field)) { _ = try handshake(json) }
        }
        #expect(throws: PacketError.self) { _ = try handshake("") }
        #expect(throws: PacketError.self) { _ = try handshake("{}}") }
    }

    @Test func encodesWhatItDecodes() throws {
        func packets(_ namespace: String) -> PacketEncoder { PacketEncoder(namespace: namespace) }
        func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        #expect(text(packets("/").connect(payload: nil)) == "40")
        #expect(text(packets("/woot").connect(payload: Array(#"{"token":"123"}"#.utf8))) == #"40/woot,{"token":"123"}"#)
        #expect(text(packets("/").disconnect()) == "41")
        #expect(text(packets("/a").disconnect()) == "41/a,")
        #expect(text(try packets("/").event("a", [1, .json(Array("{}".utf8))]).text) == #"42["a",1,{}]"#)
        #expect(text(try packets("/test").event("a", [1], id: 1).text) == #"42/test,1["a",1]"#)
        #expect(text(try packets("/").acknowledgement([], id: 1).text) == "431[]")
        let binary = try packets("/cool").event("a", [.binary([1]), "x", .binary([2])], id: 23)
        #expect(
            text(binary.text)
                == #"452-/cool,23["a",{"_placeholder":true,"num":0},"x",{"_placeholder":true,"num":1}]"#)
        #expect(binary.attachments == [[1], [2]])
        #expect(try decode(binary.text, binary.attachments)?.id == 23)
        let ack = try packets("/back").acknowledgement([.binary([])], id: 127)
        #expect(text(ack.text) == #"461-/back,127[{"_placeholder":true,"num":0}]"#)
        for name in PacketEncoder.reservedNames {
            #expect(throws: SocketIOError.self) { _ = try packets("/").event(name, []) }
        }
        #expect(throws: SocketIOError.self) { _ = try packets("/").event("a", [.json(Array("{".utf8))]) }
    }
}
