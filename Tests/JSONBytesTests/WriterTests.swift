import JSONBytes
import Testing

@Suite struct WriterTests {
    @Test func writes() {
        var writer = JSONWriter(capacity: 64)
        writer.beginObject()
        writer.key("a")
        writer.int(1)
        writer.key("list")
        writer.beginArray()
        writer.string("x\"y\\z\n\u{1}\u{1F}é😀")
        writer.bool(true)
        writer.null()
        writer.double(1.5)
        writer.double(.infinity)
        writer.beginObject()
        writer.endObject()
        writer.raw(Array("[1,2]".utf8))
        writer.endArray()
        let name = "k\"" + String(7)
        writer.key(name)
        writer.int(Int64.min)
        writer.endObject()
        let text = String(decoding: writer.bytes, as: UTF8.self)
        let list = #"["x\"y\\z\n\u0001\u001fé😀",true,null,1.5,null,{},[1,2]]"#
        #expect(text == #"{"a":1,"list":"# + list + #","k\"7":-9223372036854775808}"#)
        writer.removeAll()
        writer.string("again")
        #expect(writer.bytes == Array("\"again\"".utf8))
    }

    @Test func everyByteValueComesBack() throws {
        var text = ""
        for value in 0..<0x80 { text.unicodeScalars.append(Unicode.Scalar(UInt8(value))) }
        for padding in 0..<20 {
            let padded = String(repeating: "é", count: padding) + text
            var writer = JSONWriter()
            writer.string(padded)
            #expect(try JSONValue(parsing: writer.bytes) == .string(padded))
        }
    }

    @Test func trees() throws {
        let tree: JSONValue = ["b": [1, 2.5, true, nil, "x"], "a": ["c": -3]]
        #expect(String(decoding: tree.serialized, as: UTF8.self) == #"{"a":{"c":-3},"b":[1,2.5,true,null,"x"]}"#)
        #expect(try JSONValue(parsing: tree.serialized) == tree)
        #expect(tree["a"]?["c"]?.int == -3)
        #expect(tree["b"]?.array?.count == 5)
        #expect(try JSONValue(parsing: "12.0") == .double(12))
        #expect(try JSONValue(parsing: "9223372036854775808") == .double(9_223_372_036_854_775_808))
        #expect(throws: JSONSyntaxError(offset: 5, reason: .invalidNumber)) { try JSONValue(parsing: "[[1],1e999]") }
        #expect(throws: JSONSyntaxError(offset: 2, reason: .trailingBytes)) { try JSONValue(parsing: "1 2") }
        #expect(try JSONValue(parsing: #"{"a":1,"a":2}"#) == ["a": 2])
    }
}
