import Foundation

private let maxHops = 5

/// Format of files. What is nil is as in the split.
public struct Format: Sendable {
    public var format, bitDepth: String?
    public var bitrate: Int?

    public init(_ format: String? = nil, bitDepth: String? = nil, bitrate: Int? = nil) {
        (self.format, self.bitDepth, self.bitrate) = (format, bitDepth, bitrate)
    }
}

extension StemSplitter {
    /// Downloads a stem, or `no_` and its name for the song without it, in any format. The file appears when it is
    /// complete. Waits at most `timeout` seconds until the server has made it.
    public func downloadStem(
        _ splitId: String, _ name: String, to file: URL, as format: Format = Format(), timeout: TimeInterval = 300
    ) async throws {
        try await download("\(splits.at(splitId))/stems/\(encoded(name))", file, format, timeout)
    }

    /// Downloads all stems in a ZIP archive, or with the format `stem.mp4` in one Native Instruments Stem file, like
    /// ``downloadStem(_:_:to:as:timeout:)``.
    public func downloadArchive(
        _ splitId: String, to file: URL, as format: Format = Format(), timeout: TimeInterval = 300
    ) async throws {
        try await download("\(splits.at(splitId))/archive", file, format, timeout)
    }

    /// Downloads the cover of the song, a small JPEG. Throws an error with the code `.notFound` if it has none.
    public func downloadCover(_ splitId: String, to file: URL) async throws {
        try await download("\(splits.at(splitId))/cover", file, Format(), 0)
    }

    private func download(
        _ path: String, _ file: URL, _ format: Format, _ timeout: TimeInterval
    ) async throws {
        let given = query([
            ("format", format.format), ("bitDepth", format.bitDepth), ("bitrate", format.bitrate.map(String.init)),
        ])
        let sources = [file.lastPathComponent: baseURL + path + given]
        try await download(sources, headers(), into: file.deletingLastPathComponent(), timeout)
    }

    /// Downloads files by their names into a folder, where they appear together when all are complete.
    func download(
        _ sources: [String: String], _ headers: [String: String] = [:], into folder: URL, _ timeout: TimeInterval = 0
    ) async throws {
        let files = FileManager.default, hidden = folder.appendingPathComponent(".stems-\(UUID().uuidString)")
        try files.createDirectory(at: hidden, withIntermediateDirectories: true)
        defer { try? files.removeItem(at: hidden) }
        for (name, url) in sources.sorted(by: { $0.key < $1.key }) {
            try await download(url, headers, to: hidden.appendingPathComponent(name), timeout)
        }
        for name in sources.keys {
            let from = hidden.appendingPathComponent(name).path, to = folder.appendingPathComponent(name).path
            guard rename(from, to) == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        }
    }

    /// Downloads into a file. Continues after a lost connection, waits until the server has made the file, and follows
    /// redirects without the key.
    private func download(_ link: String, _ given: [String: String], to path: URL, _ timeout: TimeInterval) async throws {
        let deadline = Date(timeIntervalSinceNow: timeout), name = path.lastPathComponent
        var url = link, headers = given, etag = "", hops = 0
        try Data().write(to: path)
        let file = try FileHandle(forWritingTo: path)
        defer { try? file.close() }
        func ranged() -> [String: String] {
            guard !etag.isEmpty, let offset = try? file.offset(), offset > 0 else { return headers }
            return headers.merging(["Range": "bytes=\(offset)-", "If-Range": etag]) { $1 }
        }
        while true {
            let answer: (status: Int, location: String?, retryAfter: Double?)
            do {
                answer = try await http.request("GET", url, headers: ranged, into: file) { response in
                    let found = (response.status, response.header("Location"), response.retryAfter)
                    guard response.status == 200 || response.status == 206 else { return found }
                    etag = response.header("ETag").flatMap { $0.hasPrefix("\"") ? $0 : nil } ?? ""
                    _ = try await response.body()  // it is written into the file
                    return found
                }
            } catch let error as StemSplitterError where error.code == .connection {
                throw StemSplitterError(.download, "\(name) was not received completely: \(error.message)")
            }
            if answer.status == 200 || answer.status == 206 { return }
            if answer.status == 202 {
                guard deadline > Date() else { throw StemSplitterError(.timeout, "Timed out waiting for \(name).") }
                try await http.sleep(max(answer.retryAfter ?? 1, 1))
            } else if let location = answer.location, hops < maxHops {
                (url, headers, hops) = (location, [:], hops + 1)
            } else {
                throw StemSplitterError(.download, "\(name) was not received: status \(answer.status).")
            }
        }
    }
}
