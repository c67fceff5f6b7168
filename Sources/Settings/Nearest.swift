/// Guessing what a mistyped word was meant to be.
public enum Nearest {
    /// The candidate that needs the fewest changes, case aside, if they are few enough to be a slip: at most a third of
    /// the word, at least two.
    public static func word(to word: String, among candidates: [String]) -> String? {
        let typed = Array(word.lowercased().prefix(64))
        let limit = max(2, typed.count / 3)
        var best: (word: String, distance: Int)?
        for candidate in candidates {
            let found = distance(typed, Array(candidate.lowercased().prefix(64)))
            if found <= limit, found < best?.distance ?? .max { best = (candidate, found) }
        }
        return best?.word
    }

    /// Insertions, removals, replacements and swaps of neighbours.
    static func distance(_ left: [Character], _ right: [Character]) -> Int {
        guard !left.isEmpty, !right.isEmpty else { return max(left.count, right.count) }
        var older = [Int](repeating: 0, count: right.count + 1)
        var previous = Array(0...right.count)
        for row in 1...left.count {
            var current = [row] + [Int](repeating: 0, count: right.count)
            for column in 1...right.count {
                let change = left[row - 1] == right[column - 1] ? 0 : 1
                var least = min(previous[column] + 1, current[column - 1] + 1, previous[column - 1] + change)
                if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
                    least = min(least, older[column - 2] + 1)
                }
                current[column] = least
            }
            older = previous
            previous = current
        }
        return previous[right.count]
    }
}
