import Foundation

/// Called with the bytes sent and the size, after each chunk.
public typealias Progress = @Sendable (_ sent: Int, _ size: Int) -> Void

// without progress: the server needs up to a minute to detect that a connection was lost
private let maxFailures = 10
private let busy: Set<StemSplitterError.Code> = ["UPLOAD_INCOMPLETE", "UPLOAD_IN_PROGRESS", "UPLOAD_OFFSET_MISMATCH"]
private let mediaTypes = [
    "flac": "audio/flac", "m4a": "audio/mp4", "mp3": "audio/mpeg", "ogg": "audio/ogg", "wav": "audio/wav",
    "aac": "audio/aac", "aif": "audio/aiff", "aiff": "audio/aiff", "opus": "audio/ogg", "webm": "audio/webm",
    "mp4": "video/mp4", "mov": "video/quicktime",
]

private struct Reservation: Decodable {
    let uploadId, uploadUrl: String, uploadHeaders: [String: String], expiresAt: String?
}

extension StemSplitter {
    /// Uploads a file in chunks; continues after a lost connection. Keeps one chunk in memory.
    ///
    /// - Parameter filename: the name of the file by default; `contentType` follows from it.
    public func upload(
        file: URL, filename: String? = nil, contentType: String? = nil, onProgress: Progress? = nil
    ) async throws -> Upload {
        let handle = try FileHandle(forReadingFrom: file)
        defer { try? handle.close() }
        let size = Int(try handle.seekToEnd())
        return try await upload(filename ?? file.lastPathComponent, contentType, size, onProgress) { offset, count in
            try handle.seek(toOffset: UInt64(offset))
            let chunk = try handle.read(upToCount: count) ?? Data()
            guard chunk.count == count else { throw StemSplitterError(.upload, "The file became shorter.") }
            return chunk
        }
    }

    /// Uploads data in chunks, like a file.
    public func upload(
        data: Data, filename: String, contentType: String? = nil, onProgress: Progress? = nil
    ) async throws -> Upload {
        try await upload(filename, contentType, data.count, onProgress) { offset, count in
            data.dropFirst(offset).prefix(count)
        }
    }

    private func upload(
        _ filename: String, _ contentType: String?, _ size: Int, _ onProgress: Progress?,
        read: (_ offset: Int, _ count: Int) throws -> Data
    ) async throws -> Upload {
        let suffix = (filename as NSString).pathExtension.lowercased()
        let kind = contentType ?? mediaTypes[suffix] ?? "application/octet-stream"
        let body: JSON = [
            "filename": .string(filename), "contentType": .string(kind), "contentLength": .number(Double(size)),
        ]
        let reserved: Reservation = try await call("POST", "/audio/uploads", body, key: UUID().uuidString)
        let token = reserved.uploadHeaders.filter { $0.key == "X-Upload-Token" }
        var offset = 0, failures = 0
        while true {
            let count = min(chunkBytes, size - offset), isLast = offset + count == size
            var headers = token
            headers["Content-Type"] = "application/partial-upload"
            headers["Upload-Offset"] = String(offset)
            headers["Upload-Complete"] = isLast ? "?1" : "?0"
            do {
                let chunk = try read(offset, count)
                let stored = try await http.exchange("PATCH", reserved.uploadUrl, headers, chunk) { response in
                    isLast ? try Self.data(of: try await response.body(), Stored.self) : nil
                }
                (offset, failures) = (offset + count, 0)
                onProgress?(offset, size)
                if let stored {
                    return Upload(
                        uploadId: reserved.uploadId, fileURL: stored.url, storageKey: stored.key,
                        expiresAt: reserved.expiresAt)
                }
            } catch let error as StemSplitterError where error.isTemporary || busy.contains(error.code) {
                failures += 1
                guard failures <= maxFailures else { throw error }
                if error.code != "UPLOAD_OFFSET_MISMATCH" { try await http.pause(failures, error) }
                let known = try await http.request("HEAD", reserved.uploadUrl, headers: { token }) {
                    $0.header("Upload-Offset").flatMap { Int($0) }
                }
                guard let known, (0...size).contains(known) else { throw error }
                if known > offset { failures = 0 }
                offset = known
            }
        }
    }

    private struct Stored: Decodable { let url, key: String }
}
