import JSONBytes

extension JSONValue {
    /// The first of these members that is there and not null.
    func first(_ keys: [String]) -> JSONValue? {
        for key in keys {
            if let value = self[key], value != .null { return value }
        }
        return nil
    }

    /// A text; a number where a text was expected is taken as its digits.
    func text(_ keys: [String]) -> String? {
        guard let value = first(keys) else { return nil }
        return value.string ?? value.int.map(String.init)
    }

    /// A whole number, also as a string: databases hand out 64-bit numbers so.
    func whole(_ keys: [String]) -> Int64? {
        guard let value = first(keys) else { return nil }
        return value.int ?? value.string.flatMap { Int64($0) }
    }

    /// A truth value, also as 0 or 1.
    func truth(_ keys: [String]) -> Bool? {
        guard let value = first(keys) else { return nil }
        return value.bool ?? value.int.map { $0 != 0 }
    }

    /// The array, wherever it is.
    func list(_ depth: Int = 3) -> [JSONValue]? {
        if let array { return array }
        guard depth > 0 else { return nil }
        return FabricSpelling.listEnvelopes.lazy.compactMap { self[$0]?.list(depth - 1) }.first
    }

    /// The object that has one of `keys`, itself or in an envelope; of several the first.
    func object(with keys: [String], _ depth: Int = 3) -> JSONValue? {
        if first(keys) != nil { return self }
        guard depth > 0 else { return nil }
        if let array { return array.first?.object(with: keys, depth - 1) }
        return FabricSpelling.objectEnvelopes.lazy.compactMap { self[$0]?.object(with: keys, depth - 1) }.first
    }
}

extension JSONValue {
    /// The object with these members in the place of its own; of what is no object only these.
    public func with(_ members: [String: JSONValue]) -> JSONValue {
        .object((object ?? [:]).merging(members) { $1 })
    }
}
