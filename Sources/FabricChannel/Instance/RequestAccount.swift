import JSONBytes

extension JSONValue {
    /// The account that a request is about: `accountId`, or `account` as deliveries call it; nil where neither is there.
    func requestedAccount() throws(RequestProblem) -> String? {
        var named: String?
        for key in ["accountId", "account"] {
            guard let value = self[key], value != .null else { continue }
            guard let id = value.string, !id.isEmpty else {
                throw RequestProblem(
                    .invalid, "\"\(key)\" is not the id of an account", at: "request, key \(key)",
                    remedy: "give it as a string")
            }
            guard named == nil || named == id else {
                throw RequestProblem(
                    .invalid, "\"accountId\" and \"account\" name two accounts", at: "request, key \(key)",
                    remedy: "give one of them")
            }
            named = id
        }
        return named
    }

    /// The same, where a request is about one account.
    func requiredAccount() throws(RequestProblem) -> String {
        guard let id = try requestedAccount() else {
            throw RequestProblem(
                .invalid, "\"accountId\" is missing", at: "request, key accountId (or account)",
                remedy: "name the account")
        }
        return id
    }
}
