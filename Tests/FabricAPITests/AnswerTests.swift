import HTTPTestServer
import HTTPTransfer
import JSONBytes
import Locking
import Testing

@testable import FabricAPI

/// Good statuses that are no answers, and lists that come in pieces.
@Suite struct AnswerTests {
    // MARK: Posts

    private static let page = "<html>We are improving our service</html>"

    @Test(arguments: [
        (200, AnswerTests.page), (200, ""), (201, "{}"), (204, ""), (202, ""), (202, #"{"ok":true}"#), (200, "[]"),
        (200, "null"), (200, "OK"),
    ])
    func aGoodStatusWithoutAnAnswerIsAnUnknownOutcome(_ status: Int, _ body: String) async throws {
        try await withFabric {
            $1.respond(status, body: body)
        } _: { guild, _, _ in
            let error = try await failure { () throws(FabricError) in
                try await guild.post(
                    channel: "c", FabricOutgoingMessage(content: "hi"), idempotencyKey: "k", token: token)
            }
            #expect(error.kind == .unknownOutcome)
            #expect(error.description.contains("does not say which message") && !error.description.contains(token))
        }
    }

    /// A command to the guild becomes no message.
    @Test func aCommandNeedsNoId() async throws {
        let body = Locked("")
        try await withFabric {
            $1.respond(201, body: body.withLock { $0 })
        } _: { guild, _, _ in
            for text in ["", "{}", #"{"ok":true}"#] {
                body.withLock { $0 = text }
                let posted = try await guild.post(
                    channel: "c", FabricOutgoingMessage(content: "/no-reply"), idempotencyKey: "k", token: "t")
                #expect(posted == FabricPosted(messageId: nil))
            }
            body.withLock { $0 = Self.page }
            let error = try await failure { () throws(FabricError) in
                try await guild.post(
                    channel: "c", FabricOutgoingMessage(content: "/no-reply"), idempotencyKey: "k", token: "t")
            }
            #expect(error.kind == .unknownOutcome)
        }
    }

    // MARK: Pages

    /// A guild that gives its 25 channels in pages of ten; how it says so, and what it answers to.
    enum Form: String, CaseIterable, Sendable {
        case nextCursor, nextCursorSnake, nextPageToken, endCursor, nextNumber, nextPage, nextOffset, nextLink,
            linksNext
        case halLink, nextPageUrl, linkHeader, totalCountHeader, pageAndTotal, pageAndPages, metaOfNest, offsetAndTotal
        case skipTakeTotal, totalOnly, hasMoreAndPage, hasMoreAlone, rowsAndTotal, zeroBasedPages

        func answer(_ query: [String: String], _ connection: TestConnection) {
            let all = (1...25).map { #"{"id":"c\#($0)","lastSeq":\#($0)}"# }
            let size = 10
            let page = query["page"].flatMap { Int($0) } ?? (self == .zeroBasedPages ? 0 : 1)
            let first = self == .zeroBasedPages ? page : page - 1
            var start = first * size
            for key in ["offset", "skip", "cursor", "after", "pageToken"] {
                if let value = query[key].flatMap({ Int($0.drop { $0 == "x" }) }) { start = value }
            }
            let end = min(all.count, start + size)
            let rows = "[" + (start < all.count ? all[start..<end] : []).joined(separator: ",") + "]"
            let isLast = end >= all.count
            let cursor = isLast ? "null" : #""x\#(end)""#
            let link = "http://elsewhere/api/channels?guildId=sim-guild-1&page=\(page + 1)"
            var headers: [String] = []
            let body =
                switch self {
                case .nextCursor: #"{"items":\#(rows),"nextCursor":\#(cursor)}"#
                case .nextCursorSnake: #"{"data":\#(rows),"meta":{"next_cursor":\#(cursor)}}"#
                case .nextPageToken: #"{"channels":\#(rows),"nextPageToken":\#(cursor)}"#
                case .endCursor:
                    #"{"items":\#(rows),"pageInfo":{"hasNextPage":\#(!isLast),"endCursor":"x\#(end)"}}"#
                case .nextNumber: #"{"items":\#(rows),"next":\#(isLast ? "null" : "\(page + 1)")}"#
                case .nextPage: #"{"items":\#(rows),"nextPage":\#(isLast ? "null" : "\(page + 1)")}"#
                case .nextOffset: #"{"items":\#(rows),"nextOffset":\#(isLast ? "null" : "\(end)")}"#
                case .nextLink: #"{"results":\#(rows),"count":25,"next":\#(isLast ? "null" : "\"\(link)\"")}"#
                case .linksNext: #"{"data":\#(rows),"links":{"next":"\#(isLast ? "" : link)","prev":null}}"#
                case .halLink: #"{"items":\#(rows),"_links":{\#(isLast ? "" : #""next":{"href":"\#(link)"}"#)}}"#
                case .nextPageUrl: #"{"data":\#(rows),"next_page_url":\#(isLast ? "null" : "\"\(link)\"")}"#
                case .linkHeader: rows
                case .totalCountHeader: rows
                case .pageAndTotal: #"{"items":\#(rows),"page":\#(page),"pageSize":10,"total":25}"#
                case .pageAndPages: #"{"items":\#(rows),"page":{"page":\#(page),"totalPages":3}}"#
                case .metaOfNest:
                    #"{"items":\#(rows),"meta":{"totalItems":25,"itemCount":10,"itemsPerPage":10,"totalPages":3,"currentPage":\#(page)}}"#
                case .offsetAndTotal: #"{"items":\#(rows),"offset":\#(start),"limit":10,"total":25}"#
                case .skipTakeTotal: #"{"data":\#(rows),"skip":\#(start),"take":10,"total":"25"}"#
                case .totalOnly: #"{"items":\#(rows),"total":25}"#
                case .hasMoreAndPage: #"{"items":\#(rows),"page":\#(page),"hasMore":\#(!isLast)}"#
                case .hasMoreAlone: #"{"items":\#(rows),"has_more":\#(!isLast)}"#
                case .rowsAndTotal: "[\(rows),25]"
                case .zeroBasedPages: #"{"items":\#(rows),"page":\#(page),"size":10,"totalElements":25}"#
                }
            if self == .linkHeader, !isLast {
                headers = ["Link: <\(link)>; rel=\"next\", <http://x?page=3>; rel=\"last\""]
            }
            if self == .totalCountHeader { headers = ["X-Total-Count: 25"] }
            connection.respond(200, headers, body: body)
        }
    }

    private static func query(_ target: String) -> [String: String] {
        var query: [String: String] = [:]
        for pair in target.split(separator: "?").dropFirst().first?.split(separator: "&") ?? [] {
            let sides = pair.split(separator: "=", maxSplits: 1)
            query[String(sides[0])] = sides.count > 1 ? String(sides[1]) : ""
        }
        return query
    }

    @Test(arguments: Form.allCases) func aListIsReadToItsEnd(_ form: Form) async throws {
        try await withFabric {
            form.answer(Self.query($0.target), $1)
        } _: { guild, _, server in
            let channels = try await guild.channels(token: token)
            #expect(channels.map(\.id) == (1...25).map { "c\($0)" })
            #expect(server.requests.count == 3)
            // However a link names the server, the token stays with the guild.
            #expect(server.requests.allSatisfy { Self.query($0.target)["guildId"] == "sim-guild-1" })
        }
    }

    @Test(arguments: [
        #"{"items":[{"id":"a"}],"total":1}"#, #"{"items":[{"id":"a"}],"total":7}"#,
        #"{"items":[{"id":"a"}],"next":null}"#,
        #"{"items":[{"id":"a"}],"page":1,"totalPages":1}"#, #"{"items":[{"id":"a"}],"hasMore":false,"nextCursor":"x"}"#,
        #"[{"id":"a"}]"#, #"[[{"id":"a"}],1]"#, #"{"data":{"items":[{"id":"a"}]},"count":9}"#,
    ])
    func aListWithoutPagesIsAsked(_ body: String) async throws {
        try await withFabric {
            $1.respond(200, body: body)
        } _: { guild, _, server in
            let channels = try await guild.channels(token: "t")
            #expect(channels.map(\.id) == ["a"])
            // A total may count what this user does not see: it is worth one more question, and no more.
            #expect(server.requests.count == (body.contains(":7") ? 2 : 1))
        }
    }

    /// What is not whole must not look whole.
    @Test(arguments: [
        #"{"items":[{"id":"a"}],"hasMore":true}"#, #"{"items":[{"id":"a"}],"nextCursor":"x"}"#,
        #"{"items":[{"id":"a"}],"page":1,"limit":1,"total":5}"#,
        #"{"items":[{"id":"a"}],"offset":0,"limit":1,"total":5}"#,
    ])
    func aListThatCannotBeReadOnIsAnError(_ body: String) async throws {
        try await withFabric {
            $1.respond(200, body: body)
        } _: { guild, _, _ in
            let error = try await failure { () throws(FabricError) in try await guild.channels(token: "t") }
            #expect(error.kind == .malformed && error.serverWords?.contains("the list goes on") == true)
        }
    }

    @Test func aListWithoutAnEndEnds() async throws {
        let number = Locked(0)
        try await withFabric { _, connection in
            let next = number.withLock {
                $0 += 1
                return $0
            }
            connection.respond(200, body: #"{"items":[{"id":"c\#(next)"}],"nextCursor":"x\#(next)"}"#)
        } _: { guild, _, server in
            let error = try await failure { () throws(FabricError) in try await guild.channels(token: "t") }
            #expect(error.kind == .malformed && server.requests.count == 1000)
        }
    }

    @Test func aPageThatFailsFailsTheList() async throws {
        try await withFabric {
            if $0.target.contains("cursor") { return $1.respond(503) }
            $1.respond(200, body: #"{"items":[{"id":"a"}],"nextCursor":"x"}"#)
        } _: { guild, _, _ in
            let error = try await failure { () throws(FabricError) in try await guild.channels(token: "t") }
            #expect(error.kind == .passing(status: 503, retryAfter: nil))
        }
    }

    /// Numbers that no page has.
    @Test(arguments: [
        #"{"items":[{"id":"a"}],"page":9223372036854775807,"total":9223372036854775807}"#,
        #"{"items":[],"page":-5,"total":9}"#, #"{"items":[{"id":"a"}],"offset":-1,"total":1e300}"#,
        #"{"items":[{"id":"a"}],"total":-9223372036854775808}"#, #"[[{"id":"a"}],9223372036854775807]"#,
    ])
    func absurdNumbersDoNoHarm(_ body: String) async throws {
        try await withFabric {
            $1.respond(200, body: body)
        } _: { guild, _, _ in
            let channels = try await guild.channels(token: "t")
            #expect(channels.count <= 1)
        }
    }
}
