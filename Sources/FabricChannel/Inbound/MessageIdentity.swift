import FabricAPI

extension FabricMessageView {
    /// The message's id as text, whichever way the guild writes it.
    var idText: String { id.string ?? id.int64.map(String.init) ?? "" }
}
