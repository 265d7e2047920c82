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
    @discardableResult
    public func downloadStem(
        _ splitId: String, _ name: String, to file: URL, as format: Format = Format(), timeout: TimeInterval = 300
    ) async throws -> URL {
        try await download("\(splits.at(splitId))/stems/\(encoded(name))", file, format, timeout)
    }

    /// Downloads all stems in a ZIP archive, or with the format `stem.mp4` in one Native Instruments Stem file, like
    /// ``downloadStem(_:_:to:as:timeout:)``.
    @discardableResult
    public func downloadArchive(
        _ splitId: String, to file: URL, as format: Format = Format(), timeout: TimeInterval = 300
    ) async throws -> URL {
        try await download("\(splits.at(splitId))/archive", file, format, timeout)
    }

    private func download(
        _ path: String, _ file: URL, _ format: Format, _ timeout: TimeInterval
    ) async throws -> URL {
        let given = query([
            ("format", format.format), ("bitDepth", format.bitDepth), ("bitrate", format.bitrate.map(String.init)),
        ])
        let source = Source(url: baseURL + path + given, headers: headers())
        try await download([file.lastPathComponent: source], into: file.deletingLastPathComponent(), timeout)
        return file
    }

    /// Downloads files by their names into a folder, where they appear together when all are complete.
    func download(_ sources: [String: Source], into folder: URL, _ timeout: TimeInterval = 0) async throws {
        let files = FileManager.default, hidden = folder.appendingPathComponent(".stems-\(UUID().uuidString)")
        try files.createDirectory(at: hidden, withIntermediateDirectories: true)
        defer { try? files.removeItem(at: hidden) }
        for (name, source) in sources.sorted(by: { $0.key < $1.key }) {
            try await download(source, to: hidden.appendingPathComponent(name), timeout)
        }
        for name in sources.keys {
            let from = hidden.appendingPathComponent(name).path, to = folder.appendingPathComponent(name).path
            guard rename(from, to) == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        }
    }

    /// Downloads into a file. Continues after a lost connection, waits until the server has made the file, and follows
    /// redirects without the key.
    private func download(_ given: Source, to path: URL, _ timeout: TimeInterval) async throws {
        let deadline = Date(timeIntervalSinceNow: timeout), name = path.lastPathComponent
        var source = given, etag = "", hops = 0
        try Data().write(to: path)
        let file = try FileHandle(forWritingTo: path)
        defer { try? file.close() }
        func ranged() -> [String: String] {
            guard !etag.isEmpty, let offset = try? file.offset(), offset > 0 else { return source.headers }
            return source.headers.merging(["Range": "bytes=\(offset)-", "If-Range": etag]) { $1 }
        }
        while true {
            let answer: (status: Int, location: String?, retryAfter: Double?)
            do {
                answer = try await http.request("GET", source.url, headers: ranged) { response in
                    let found = (response.status, response.header("Location"), response.retryAfter)
                    guard response.status == 200 || response.status == 206 else { return found }
                    etag = response.header("ETag").flatMap { $0.hasPrefix("\"") ? $0 : nil } ?? ""
                    if response.status == 200 { try file.truncate(atOffset: 0) }
                    while let data = try await response.next() { try file.write(contentsOf: data) }
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
                (source, hops) = (Source(url: location, headers: [:]), hops + 1)
            } else {
                throw StemSplitterError(.download, "\(name) was not received: status \(answer.status).")
            }
        }
    }
}

struct Source { let url: String, headers: [String: String] }
