import HTTPTransfer
import JSONBytes
import Timing

/// One page of a list and how it goes on. Nothing is known of whether Fabric's lists have pages, so every usual form is read:
/// a list that stops in its middle would look like channels that are no more.
struct FabricPage: Sendable, Equatable {
    /// How to ask for the next page.
    enum Next: Sendable, Equatable {
        /// The query of a link the server gave, without the question mark.
        case query(String)
        /// Parameters besides those of the first request.
        case parameters([Parameter])
    }

    struct Parameter: Sendable, Equatable {
        var name: String
        var value: String
    }

    var rows: [JSONValue]
    var next: Next?
    /// The server says itself that there is more; else it only follows from its numbers.
    var isCertain = false

    /// Nil if there is no list in it.
    /// - Parameters:
    ///   - link: the `Link` header.
    ///   - total: the `X-Total-Count` header.
    ///   - before: rows of the pages before this one.
    init?(reading value: JSONValue, link: String? = nil, total: String? = nil, before: Int) {
        // [[row, …], total], as some database layers give it.
        if let pair = value.array, pair.count == 2, let rows = pair[0].array, let total = pair[1].int {
            self.rows = rows
            if before + rows.count < total, !rows.isEmpty {
                next = .parameters([Parameter(name: "offset", value: String(before + rows.count))])
            }
            return
        }
        guard let rows = value.list() else { return nil }
        self.rows = rows
        if let query = link.flatMap(Self.nextOfHeader) {
            next = .query(query)
            isCertain = true
            return
        }
        let places = [value] + FabricSpelling.pageEnvelopes.compactMap { value[$0] }.filter { $0.object != nil }
        if let more = places.lazy.compactMap({ $0.truth(FabricSpelling.hasMore) }).first {
            guard more else { return }
            isCertain = true
        }
        for place in places {
            guard let found = Self.stated(place) else { continue }
            next = found
            isCertain = true
            return
        }
        count(places, total: total.flatMap { Int64($0) }, before: before)
    }

    // MARK: - What the server states

    private static func stated(_ place: JSONValue) -> Next? {
        for key in FabricSpelling.nextLink {
            guard let value = place[key] else { continue }
            let text = value.string ?? FabricSpelling.nextHref.lazy.compactMap { value[$0]?.string }.first
            if let text, let mark = text.firstIndex(of: "?") {
                let query = text[text.index(after: mark)...].prefix { $0 != "#" }
                if !query.isEmpty { return .query(String(query)) }
            }
        }
        for (key, parameter) in FabricSpelling.nextTokens {
            guard let value = place[key] else { continue }
            if let text = value.string, !text.isEmpty, !text.contains("/") {
                return .parameters([Parameter(name: parameter, value: text)])
            }
            if let number = value.int {
                // A mere `next` that is a number is a page's.
                return .parameters([Parameter(name: key == "next" ? "page" : parameter, value: String(number))])
            }
        }
        return nil
    }

    /// The link of RFC 8288 with `rel="next"`: its query.
    private static func nextOfHeader(_ header: String) -> String? {
        for link in header.split(separator: ",") {
            guard let open = link.firstIndex(of: "<"), let close = link.firstIndex(of: ">"), open < close else {
                continue
            }
            let rest = link[close...].lowercased().filter { $0 != " " && $0 != "\"" }
            guard rest.split(separator: ";").contains("rel=next") else { continue }
            let target = link[link.index(after: open)..<close]
            guard let mark = target.firstIndex(of: "?") else { continue }
            let query = target[target.index(after: mark)...].prefix { $0 != "#" }
            if !query.isEmpty { return String(query) }
        }
        return nil
    }

    // MARK: - What follows from its numbers

    private mutating func count(_ places: [JSONValue], total: Int64?, before: Int) {
        let total = total ?? places.lazy.compactMap { $0.whole(FabricSpelling.total) }.first
        let pages = places.lazy.compactMap { $0.whole(FabricSpelling.totalPages) }.first
        let size = Self.first(places, FabricSpelling.pageSize)
        let have = Int64(before) + Int64(rows.count)
        let isShort = total.map { have < $0 && !rows.isEmpty } ?? false
        // A full page of a longer list is cut off for certain; a total alone may count what this user does not see.
        if isShort, size?.value == String(rows.count) { isCertain = true }
        for place in places {
            for (key, parameter) in FabricSpelling.pageNumber {
                guard let page = place[key]?.int, page >= 0, page < Int64.max else { continue }
                guard isCertain || pages.map({ page < $0 && !rows.isEmpty }) ?? isShort else { return }
                next = .parameters([Parameter(name: parameter, value: String(page + 1))] + [size].compactMap(\.self))
                return
            }
        }
        guard isCertain || isShort else { return }
        let offset = FabricSpelling.pageOffset.first { key in places.contains { $0[key]?.int != nil } } ?? "offset"
        next = .parameters([Parameter(name: offset, value: String(have))] + [size].compactMap(\.self))
    }

    private static func first(_ places: [JSONValue], _ keys: [String]) -> Parameter? {
        for place in places {
            for key in keys {
                if let number = place[key]?.int { return Parameter(name: key, value: String(number)) }
            }
        }
        return nil
    }
}

extension FabricGuild {
    /// The most pages of one list; ours. A guild whose pages do not end must not keep us for ever.
    private static let maximumPages = 1000

    /// The rows of a list, of all its pages.
    func list(
        _ operation: FabricOperation, _ path: String, _ token: String
    ) async throws(FabricError) -> [JSONValue] {
        try await pages(operation, path, token).rows
    }

    /// The same, and when the first page was made, by the server's clock.
    func pages(
        _ operation: FabricOperation, _ path: String, _ token: String
    ) async throws(FabricError) -> (rows: [JSONValue], date: Double?) {
        var date: Double?
        var rows: [JSONValue] = []
        var known: Set<JSONValue.RowKey> = []
        var target = path
        for number in 0..<Self.maximumPages {
            let answer = try await call.answer(operation, .get, target, bearer: token)
            if number == 0 { date = answer.headers["Date"].flatMap { TimeText.httpSeconds($0) } }
            let value = try FabricCall.value(answer.body, operation)
            guard
                let page = FabricPage(
                    reading: value, link: answer.headers["Link"], total: answer.headers["X-Total-Count"],
                    before: rows.count)
            else {
                throw operation.malformed(answer.body.isEmpty ? "the answer is empty" : "no list in it", answer.body)
            }
            let fresh = page.rows.filter { known.insert($0.rowKey).inserted }
            rows.append(contentsOf: fresh)
            guard let next = page.next else { return (rows, date) }
            if fresh.isEmpty {
                // An empty page is the end, whatever the numbers say; the same page again is none.
                if page.rows.isEmpty || !page.isCertain { return (rows, date) }
                throw operation.malformed("the list goes on, but the next page is the same one", answer.body)
            }
            target = Self.target(path, next)
        }
        throw operation.malformed("the list has more than \(Self.maximumPages) pages", [])
    }

    private static func target(_ path: String, _ next: FabricPage.Next) -> String {
        let parts = path.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let own = parts.count > 1 ? parts[1].split(separator: "&").map(String.init) : []
        let added: [String]
        switch next {
        case .query(let query): added = query.split(separator: "&").map(String.init)
        case .parameters(let parameters):
            added = parameters.map { HTTPURL.encode($0.name) + "=" + HTTPURL.encode($0.value) }
        }
        let names = Set(added.map { $0.prefix { $0 != "=" } })
        let kept = own.filter { !names.contains($0.prefix { $0 != "=" }) }
        return parts[0] + "?" + (kept + added).joined(separator: "&")
    }
}

extension JSONValue {
    /// Tells one row of a list from another.
    enum RowKey: Hashable {
        case id(String)
        case text([UInt8])
    }

    var rowKey: RowKey {
        text(FabricSpelling.channelId + FabricSpelling.memberUserId).map { .id($0) } ?? .text(serialized)
    }
}
