import JSONBytes

/// Why a request failed: what, where, and what the operator can do.
struct RequestProblem: Error, Sendable, Equatable {
    var code: RequestResult.Code
    var problem: String
    var place: String
    var remedy: String
    var retryable = false

    init(_ code: RequestResult.Code, _ problem: String, at place: String, remedy: String, retryable: Bool = false) {
        self.code = code
        self.problem = problem
        self.place = place
        self.remedy = remedy
        self.retryable = retryable
    }

    var result: RequestResult {
        let json: JSONValue = [
            "error": .string(problem), "where": .string(place), "remedy": .string(remedy),
            "retryable": .bool(retryable),
        ]
        return RequestResult(code, json.serialized)
    }
}
