import Foundation

private let silence = 40.0  // the server sends a comment every 15 seconds
private let noEvents = StemSplitterError(status: 404, retryAfter: nil, body: Data())

/// Objects of one kind, which are listed in pages.
public struct Collection<Item: Decodable & Sendable, Request: Encodable & Sendable>: Sendable {
    let client: StemSplitter
    let path: String
    var hasEvents = true

    public func get(_ id: String) async throws -> Item { try await client.call("GET", at(id)) }

    /// Returns a page, newest first. The ids are filters of deliveries.
    public func list(
        limit: Int = 100, cursor: String? = nil, status: Status? = nil, splitId: String? = nil, endpointId: String? = nil
    ) async throws -> Page<Item> {
        let given = query([
            ("limit", String(limit)), ("cursor", cursor), ("status", status?.rawValue), ("splitId", splitId),
            ("endpointId", endpointId),
        ])
        return try await client.call("GET", path + given)
    }

    /// All objects, newest first: `for try await split in client.splits.all() { … }`. Pages are requested as needed.
    public func all(status: Status? = nil, splitId: String? = nil, endpointId: String? = nil) -> Items<Item> {
        Items { try await list(cursor: $0, status: status, splitId: splitId, endpointId: endpointId) }
    }

    func at(_ id: String) -> String { "\(path)/\(encoded(id))" }

    func remove(_ id: String) async throws {
        do {
            let _: JSON = try await client.call("DELETE", at(id))
        } catch let error as StemSplitterError where error.code == .notFound && error.attempts > 1 {
            // the first response was lost
        }
    }
}

/// All objects of a kind.
public struct Items<Item: Decodable & Sendable>: AsyncSequence, Sendable {
    let page: @Sendable (_ cursor: String?) async throws -> Page<Item>

    public struct AsyncIterator: AsyncIteratorProtocol {
        let items: Items
        var page: ArraySlice<Item> = []
        var cursor: String?
        var isFirst = true

        public mutating func next() async throws -> Item? {
            while page.isEmpty && (isFirst || cursor != nil) {
                let found = try await items.page(cursor)
                (page, cursor, isFirst) = (found.items[...], found.nextCursor, false)
            }
            return page.popFirst()
        }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(items: self) }
}

/// Jobs of one kind. All kinds have the same life: queued, processing, then succeeded or failed.
public typealias Jobs<Request: Encodable & Sendable> = Collection<Job, Request>

extension Collection where Item == Job {
    /// Creates a job, once even if the request is repeated. The idempotency key is random by default.
    public func create(_ request: Request, idempotencyKey: String? = nil) async throws -> Job {
        try await client.call("POST", path, request, key: idempotencyKey ?? UUID().uuidString)
    }

    /// Cancels a job. It fails with the code `CANCELED`, and its credits are refunded. Mixes cannot be canceled.
    @discardableResult
    public func cancel(_ id: String) async throws -> Job {
        do {
            return try await client.call("POST", "\(at(id))/cancel")
        } catch let error as StemSplitterError where error.code == .conflict && error.attempts > 1 {
            let job = try await get(id)  // the first response was lost
            guard job.error?.code == "CANCELED" else { throw error }
            return job
        }
    }

    /// Deletes an ended job with its files. Mixes cannot be deleted: they end with their split.
    public func delete(_ id: String) async throws { try await remove(id) }

    /// Downloads all files of a succeeded job into a folder. Returns the path of each by its name, such as
    /// `folder/vocals.mp3`. The files appear together, when all are complete.
    @discardableResult
    public func download(_ job: Job, to folder: URL) async throws -> [String: URL] {
        let links = job.url.map { ["mix": $0] } ?? job.stems ?? job.outputs ?? [:]
        guard job.status == .succeeded, !links.isEmpty else {
            let reason = job.error?.message ?? "its status is \(job.status.rawValue)."
            throw StemSplitterError(.download, "\(job.id) has no files: \(reason)")
        }
        var sources: [String: String] = [:], paths: [String: URL] = [:]
        for (name, link) in links {
            guard name.range(of: "^[A-Za-z0-9][A-Za-z0-9_-]*$", options: .regularExpression) != nil else {
                throw StemSplitterError(.download, "\"\(name)\" is not a file name.")
            }
            let suffix = (link.prefix { $0 != "?" } as NSString).pathExtension
            let file = "\(name).\(suffix.isEmpty ? "audio" : suffix)"
            sources[file] = link
            paths[name] = folder.appendingPathComponent(file)
        }
        try await client.download(sources, into: folder)
        return paths
    }

    /// Returns the job when it has succeeded or failed. Uses events, and polls where they are not available. Lost
    /// connections and a restart of the server do not end it.
    ///
    /// - Parameters:
    ///   - timeout: seconds, after which it throws an error with the code `.timeout`; the job goes on.
    ///   - onUpdate: called with the job at first and when its status or progress changes.
    public func wait(
        _ id: String, timeout: TimeInterval = 300, interval: TimeInterval = 2,
        onUpdate: (@Sendable (Job) -> Void)? = nil
    ) async throws -> Job {
        let deadline = Date(timeIntervalSinceNow: timeout)
        var last: Job?, hasEvents = self.hasEvents
        func seen(_ job: Job) -> Job? {
            if job.status != last?.status || job.progress != last?.progress { onUpdate?(job) }
            last = job
            return job.hasEnded ? job : nil
        }
        while true {
            if hasEvents, deadline > Date() {
                do {
                    if let ended = try await follow(id, until: deadline, seen: seen) { return ended }
                } catch let error as StemSplitterError {
                    hasEvents = error.status == 0 || error.status == 401 || error.isTemporary
                }
            }
            do {
                if let ended = seen(try await get(id)) { return ended }
            } catch let error as StemSplitterError where error.isTemporary || error.status >= 500 {
                // the next poll finds the server
            }
            let left = deadline.timeIntervalSinceNow
            guard left > 0 else { throw StemSplitterError(.timeout, "Timed out waiting for \(id).") }
            try await client.http.sleep(min(interval, left))
        }
    }

    /// Reads the events of a job until the stream ends, or the deadline. Returns the job if it has ended.
    private func follow(_ id: String, until deadline: Date, seen: (Job) -> Job?) async throws -> Job? {
        let url = client.baseURL + at(id) + "/events", headers = client.headers(accept: "text/event-stream")
        let limit = max(1, min(silence, deadline.timeIntervalSinceNow))
        return try await client.http.exchange("GET", url, headers, silence: limit) { response in
            guard response.header("Content-Type")?.hasPrefix("text/event-stream") == true else { throw noEvents }
            var line = Data(), data = Data()
            while deadline > Date(), let part = try await response.next() {
                for byte in part {
                    if byte != 0x0A {
                        line.append(byte)
                        continue
                    }
                    if line.last == 0x0D { line.removeLast() }
                    if line.starts(with: "data:".utf8) {
                        data.append(line.dropFirst(5))
                    } else if line.isEmpty && !data.isEmpty {
                        let job = try? JSONDecoder().decode(Job.self, from: data)
                        if let ended = job.flatMap(seen) { return ended }
                        data.removeAll()
                    }
                    line.removeAll()
                }
            }
            return nil
        }
    }
}
