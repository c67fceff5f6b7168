/// The net effect of changes to a list whose elements have ids: what is new goes to the end, what is there keeps its
/// place.
struct KeyedChanges<Element: Sendable>: Sendable {
    struct Entry: Sendable {
        let id: String
        /// The one kept before goes first, so that this one takes its place at the end.
        var dropsKept: Bool
        /// nil: nothing is kept under the id.
        var element: Element?
    }

    /// In the order in which they take effect. One without an element that drops nothing is left over from an id that
    /// has a later entry.
    private(set) var entries: [Entry] = []
    private var places: [String: Int] = [:]
    private var leftOver = 0

    var isEmpty: Bool { entries.isEmpty }

    mutating func put(_ element: Element, id: String) {
        guard let place = places[id] else {
            places[id] = entries.count
            entries.append(Entry(id: id, dropsKept: false, element: element))
            return
        }
        if entries[place].element != nil {
            entries[place].element = element
        } else {
            entries[place].dropsKept = false
            leftOver += 1
            places[id] = entries.count
            entries.append(Entry(id: id, dropsKept: true, element: element))
            compactIfWorthwhile()
        }
    }

    mutating func remove(id: String) {
        guard let place = places[id] else {
            places[id] = entries.count
            entries.append(Entry(id: id, dropsKept: true, element: nil))
            return
        }
        entries[place].dropsKept = true
        entries[place].element = nil
    }

    /// Applies the changes to a list in memory.
    func apply(to list: inout [Element], id: (Element) -> String) {
        for entry in entries {
            if entry.dropsKept { list.removeAll { id($0) == entry.id } }
            guard let element = entry.element else { continue }
            if let index = list.firstIndex(where: { id($0) == entry.id }) {
                list[index] = element
            } else {
                list.append(element)
            }
        }
    }

    // An id that comes and goes again and again while nothing can be written takes no more room each time.
    private mutating func compactIfWorthwhile() {
        guard leftOver >= 32, leftOver > entries.count / 2 else { return }
        entries.removeAll { $0.element == nil && !$0.dropsKept }
        leftOver = 0
        for (place, entry) in entries.enumerated() { places[entry.id] = place }
    }
}
