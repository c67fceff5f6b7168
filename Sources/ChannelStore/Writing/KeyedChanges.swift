/// The net effect of changes to a list whose elements have ids: what is new goes to the end, what is there keeps its
/// place.
struct KeyedChanges<Element> {
    struct Entry {
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
            places[id] = entries.count
            entries.append(Entry(id: id, dropsKept: true, element: element))
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
}
