import JSONBytes

/// Why a request failed: what, where, and what the operator can do.
struct ChannelProblem: Error, Sendable, Equatable {
    var code: ChannelResult.Code
    var problem: String
    var place: String
    var remedy: String
    var retryable = false

    init(_ code: ChannelResult.Code, _ problem: String, at place: String, remedy: String, retryable: Bool = false) {
        self.code = code
        self.problem = problem
        self.place = place
        self.remedy = remedy
        self.retryable = retryable
    }

    var result: ChannelResult {
        let json: JSONValue = [
            "error": .string(problem), "where": .string(place), "remedy": .string(remedy),
            "retryable": .bool(retryable),
        ]
        return ChannelResult(code, json.serialized)
    }
}
