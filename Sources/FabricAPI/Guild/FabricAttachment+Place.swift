import HTTPTransfer

extension FabricAttachment {
    /// Where a guild has the file of that id, relative to its endpoint.
    public static func place(ofFile id: String) -> String { FabricSpelling.filePath(HTTPURL.encode(id)) }
}
