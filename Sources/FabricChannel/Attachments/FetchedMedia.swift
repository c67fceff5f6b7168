/// The files of deliveries that are about to be handed over.
struct FetchedMedia: Sendable {
    struct Files: Sendable {
        var media: [DeliveredMedia] = []
        var failed: [FailedMedia] = []
    }

    private var waiting: [String: Files] = [:]

    mutating func put(_ delivery: String, _ files: Files) { waiting[delivery] = files }
    mutating func take(_ delivery: String) -> Files { waiting.removeValue(forKey: delivery) ?? Files() }
    mutating func forget(_ delivery: String) { waiting[delivery] = nil }
}
