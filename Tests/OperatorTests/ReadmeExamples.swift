import HTTPTransfer

// An example of README.md, word for word; ReadmeTests compares them. The other one is in Examples/SocketIO.

// example HTTPTransfer
/// Fetches a page into memory and a file onto the disk, over one connection pool.
func fetch(page: String, file: String, to path: String, token: String) async throws -> (Int, Int64) {
    let http = try HTTPTransfer()
    defer { http.shutdown() }
    let answer = try await http.perform(HTTPRequest(.get, page, bearer: token))
    // Streamed: memory does not grow with the file, and nothing stands at `path` unless all of it came.
    let download = try await http.download(HTTPRequest(.get, file, bearer: token), to: path, maximumBytes: 100_000_000)
    return (answer.status, download.bytes)
}
// end
