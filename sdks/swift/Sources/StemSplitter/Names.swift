import Foundation

/// The names of other clients of this API.
public typealias AIStemSplitter = StemSplitter
public typealias AIStemSplitterError = StemSplitterError
public typealias CreateSplitRequest = SplitRequest

extension StemSplitter {
    public func getCredits() async throws -> Credits { try await credits() }

    /// Reserves an upload; `uploadAudio` does it itself.
    public func createUpload(filename: String, contentType: String, contentLength: Int) async throws -> Reservation {
        try await reserve(filename: filename, contentType: contentType, size: contentLength)
    }

    public func uploadAudio(data: Data, filename: String, contentType: String? = nil) async throws -> Upload {
        try await upload(data: data, filename: filename, contentType: contentType)
    }

    public func createSplit(_ request: SplitRequest, idempotencyKey: String? = nil) async throws -> Job {
        try await splits.create(request, idempotencyKey: idempotencyKey)
    }

    public func getSplit(_ id: String) async throws -> Job { try await splits.get(id) }

    public func waitForSplit(_ id: String, timeout: TimeInterval = 300, interval: TimeInterval = 2) async throws -> Job {
        try await splits.wait(id, timeout: timeout, interval: interval)
    }
}
