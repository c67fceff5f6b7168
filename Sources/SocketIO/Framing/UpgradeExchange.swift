/// The exchange that turns an HTTP connection into a WebSocket (RFC 6455, section 4): the request, and what an answer
/// to it means. A value; what the server sends right behind its answer is left to the caller.
struct UpgradeExchange {
    /// Why there will be no WebSocket; `status` if the server gave one.
    struct Refusal: Error, Equatable {
        var words: String
        var status: Int?
    }

    /// Longest answer taken, up to its empty line. Bytes.
    static let maximumAnswerBytes = 16 * 1024

    private let accept: String
    private var answer: [UInt8] = []

    /// - Parameter accept: the Sec-WebSocket-Accept that belongs to the request's key.
    init(accept: String) { self.accept = accept }

    /// The request. nil: it would contain what would break it up.
    static func request(_ request: WebSocketRequest, host: String, key: String) -> [UInt8]? {
        let lines =
            [
                "GET \(request.path) HTTP/1.1", "Host: \(host)", "Upgrade: websocket", "Connection: Upgrade",
                "Sec-WebSocket-Key: \(key)", "Sec-WebSocket-Version: 13",
            ] + request.headers.map { "\($0.name): \($0.value)" }
        guard request.path.hasPrefix("/"), !request.path.contains(" "),
            lines.allSatisfy({ $0.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } }),
            request.headers.allSatisfy({ !$0.name.isEmpty && !$0.name.contains(":") && !$0.name.contains(" ") })
        else { return nil }
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    }

    /// Takes bytes of the answer.
    /// - Returns: where in `bytes` the answer ended with an agreement; nil: there must be more.
    mutating func take(_ bytes: UnsafeRawBufferPointer) throws(Refusal) -> Int? {
        let before = answer.count
        answer += bytes.prefix(Self.maximumAnswerBytes - before + 1)
        guard let end = Self.endOfHead(answer, from: max(0, before - 3)) else {
            guard answer.count <= Self.maximumAnswerBytes else {
                throw Refusal(words: "the headers of its answer do not end", status: nil)
            }
            return nil
        }
        try judge(String(decoding: answer[..<end], as: UTF8.self))
        return end - before
    }

    private static func endOfHead(_ bytes: [UInt8], from start: Int) -> Int? {
        guard bytes.count >= 4 else { return nil }
        var at = start
        while at + 4 <= bytes.count {
            if bytes[at] == 0x0D, bytes[at + 1] == 0x0A, bytes[at + 2] == 0x0D, bytes[at + 3] == 0x0A { return at + 4 }
            at += 1
        }
        return nil
    }

    private func judge(_ head: String) throws(Refusal) {
        // Swift takes CR LF for one character.
        var lines = head.split(separator: "\r\n", omittingEmptySubsequences: true)[...]
        let first = lines.popFirst()?.split(separator: " ", maxSplits: 2) ?? []
        guard first.count >= 2, first[0].hasPrefix("HTTP/1."), first[1].utf8.count == 3, let status = Int(first[1])
        else { throw Refusal(words: "the server does not speak HTTP", status: nil) }
        guard status == 101 else { throw Refusal(words: "the server refused the WebSocket upgrade", status: status) }
        func values(_ name: String) -> [String] {
            lines.compactMap { line in
                guard let colon = line.firstIndex(of: ":"), line[..<colon].lowercased() == name else { return nil }
                return Self.trimmed(line[line.index(after: colon)...])
            }
        }
        func lists(_ name: String, _ word: String) -> Bool {
            values(name).contains { value in
                value.split(separator: ",").contains { Self.trimmed($0).lowercased() == word }
            }
        }
        func refusal(_ words: String) -> Refusal { Refusal(words: words, status: status) }
        guard lists("upgrade", "websocket"), lists("connection", "upgrade") else {
            throw refusal("its answer switches to something else than WebSocket")
        }
        guard values("sec-websocket-accept") == [accept] else {
            throw refusal("its answer does not belong to the request (Sec-WebSocket-Accept)")
        }
        guard values("sec-websocket-extensions").isEmpty, values("sec-websocket-protocol").isEmpty else {
            throw refusal("its answer names an extension or protocol that was not offered")
        }
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }
}
