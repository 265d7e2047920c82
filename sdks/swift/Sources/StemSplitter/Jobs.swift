import Foundation

private let silence = 40.0  // the server sends a comment every 15 seconds

/// Objects of one kind.
public struct Resources<Item: Decodable & Sendable>: Sendable {
    let client: StemSplitter
    let path: String

    public func get(_ id: String) async throws -> Item { try await client.call("GET", at(id)) }

    /// Returns a page, newest first.
    public func list(
        limit: Int = 100, cursor: String? = nil, status: String? = nil, splitId: String? = nil
    ) async throws -> Page<Item> {
        let given = query([
            ("limit", String(limit)), ("cursor", cursor), ("status", status), ("splitId", splitId),
        ])
        return try await client.call("GET", path + given)
    }

    /// All objects, newest first: `for try await item in client.deliveries.all() { … }`.
    public func all(status: String? = nil, splitId: String? = nil) -> Items<Item> {
        Items(resources: self, status: status, splitId: splitId)
    }

    func at(_ id: String) -> String { "\(path)/\(encoded(id))" }
}

/// All objects of a kind; pages are requested as needed.
public struct Items<Item: Decodable & Sendable>: AsyncSequence, Sendable {
    let resources: Resources<Item>
    let status, splitId: String?

    public struct AsyncIterator: AsyncIteratorProtocol {
        let items: Items
        var page: ArraySlice<Item> = []
        var cursor: String?
        var isFirst = true

        public mutating func next() async throws -> Item? {
            while page.isEmpty && (isFirst || cursor != nil) {
                let found = try await items.resources.list(cursor: cursor, status: items.status, splitId: items.splitId)
                (page, cursor, isFirst) = (found.items[...], found.nextCursor, false)
            }
            return page.popFirst()
        }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(items: self) }
}

/// Jobs of one kind. All kinds have the same life: queued, processing, then succeeded or failed.
public struct Jobs<Request: Encodable & Sendable>: Sendable {
    let resources: Resources<Job>
    let hasEvents: Bool
    private var client: StemSplitter { resources.client }

    init(_ client: StemSplitter, _ path: String, hasEvents: Bool = true) {
        (resources, self.hasEvents) = (Resources(client: client, path: path), hasEvents)
    }

    /// Creates a job, once even if the request is repeated. The idempotency key is random by default.
    public func create(_ request: Request, idempotencyKey: String? = nil) async throws -> Job {
        try await client.call("POST", resources.path, request, key: idempotencyKey ?? UUID().uuidString)
    }

    public func get(_ id: String) async throws -> Job { try await resources.get(id) }

    /// Returns a page, newest first.
    public func list(limit: Int = 100, cursor: String? = nil, status: Status? = nil) async throws -> Page<Job> {
        try await resources.list(limit: limit, cursor: cursor, status: status?.rawValue)
    }

    /// All jobs, newest first: `for try await split in client.splits.all() { … }`.
    public func all(status: Status? = nil) -> Items<Job> {
        resources.all(status: status?.rawValue)
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
    @discardableResult
    public func delete(_ id: String) async throws -> Deletion {
        do {
            return try await client.call("DELETE", at(id))
        } catch let error as StemSplitterError where error.code == .notFound && error.attempts > 1 {
            return Deletion(id: id, deleted: true)  // the first response was lost
        }
    }

    /// Downloads all files of a succeeded job into a folder. Returns the path of each by its name, such as
    /// `folder/vocals.mp3`. The files appear together, when all are complete.
    @discardableResult
    public func download(_ job: Job, to folder: URL) async throws -> [String: URL] {
        let links = job.url.map { ["mix": $0] } ?? job.stems ?? job.outputs ?? [:]
        guard job.status == .succeeded, !links.isEmpty else {
            throw StemSplitterError(.download, "\(job.id) has no files: its status is \(job.status.rawValue).")
        }
        var sources: [String: Source] = [:], paths: [String: URL] = [:]
        for (name, link) in links {
            guard name.range(of: "^[A-Za-z0-9][A-Za-z0-9_-]*$", options: .regularExpression) != nil else {
                throw StemSplitterError(.download, "\"\(name)\" is not a file name.")
            }
            let suffix = (link.prefix { $0 != "?" } as NSString).pathExtension
            let file = "\(name).\(suffix.isEmpty ? "audio" : suffix)"
            sources[file] = Source(url: link, headers: [:])
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
                } catch is NoEvents {
                    hasEvents = false
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
            guard response.header("Content-Type")?.hasPrefix("text/event-stream") == true else { throw NoEvents() }
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

    func at(_ id: String) -> String { resources.at(id) }
}

private struct NoEvents: Error {}
