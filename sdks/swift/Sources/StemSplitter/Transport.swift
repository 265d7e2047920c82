import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

let maxRetryAfter = 120.0
let slowestBytesPerSecond = 16384.0

/// Retry of a request, which `log` is called with.
public struct Retry: Sendable { public let attempt: Int, delay: TimeInterval, error: StemSplitterError }

/// Response whose body is still received. Dropping it closes the connection.
struct Response {
    let status: Int
    let http: HTTPURLResponse
    fileprivate var parts: AsyncThrowingStream<Part, Error>.Iterator

    func header(_ name: String) -> String? { http.value(forHTTPHeaderField: name) }

    var retryAfter: Double? { header("Retry-After").flatMap { UInt32($0) }.map { Double($0) } }

    /// Returns the next part of the body; nil at its end.
    mutating func next() async throws -> Data? {
        while let part = try await parts.next() {
            if case .data(let data) = part { return data }
        }
        try Task.checkCancellation()  // a canceled stream ends without an error
        return nil
    }

    mutating func body() async throws -> Data {
        var whole = Data()
        while let data = try await next() { whole.append(data) }
        return whole
    }
}

private enum Part: Sendable { case head(HTTPURLResponse), data(Data) }

/// Sends requests, and repeats those that can be repeated.
final class Transport: Sendable {
    let timeout: TimeInterval
    let maxRetries: Int
    private let log: (@Sendable (Retry) -> Void)?
    private let pausing: @Sendable (TimeInterval) async throws -> Void
    private let receiver = Receiver()
    private let session: URLSession

    init(
        _ configuration: URLSessionConfiguration, timeout: TimeInterval, maxRetries: Int,
        log: (@Sendable (Retry) -> Void)?, sleep: (@Sendable (TimeInterval) async throws -> Void)?
    ) {
        (self.timeout, self.maxRetries, self.log) = (timeout, maxRetries, log)
        pausing = sleep ?? { try await Task.sleep(nanoseconds: UInt64($0 * 1e9)) }
        let queue = DelegateQueue()
        queue.maxConcurrentOperationCount = 1
        session = URLSession(configuration: configuration, delegate: receiver, delegateQueue: queue)
    }

    deinit { session.finishTasksAndInvalidate() }

    func sleep(_ seconds: TimeInterval) async throws {
        try Task.checkCancellation()
        try await pausing(max(0, seconds))
    }

    /// Sends a request once; `use` reads the response if it is not an error. The body of a file is written `into` it as it
    /// is received: parts that wait for their reader would occupy memory.
    func exchange<Value>(
        _ method: String, _ url: String, _ headers: [String: String], _ body: Data? = nil,
        silence: TimeInterval? = nil, into file: FileHandle? = nil, use: (inout Response) async throws -> Value
    ) async throws -> Value {
        guard let address = URL(string: url) else { throw StemSplitterError(.config, "\(url) is not an address.") }
        var request = URLRequest(url: address, cachePolicy: .reloadIgnoringLocalCacheData)
        request.httpMethod = method
        request.httpBody = body ?? (method == "POST" ? Data() : nil)
        request.timeoutInterval = (silence ?? timeout) + Double(body?.count ?? 0) / slowestBytesPerSecond
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        request.setValue("stemsplitter-swift/\(StemSplitter.version)", forHTTPHeaderField: "User-Agent")
        request.setValue("identity", forHTTPHeaderField: "Accept-Encoding")  // the length of a download is verified
        do {
            var response = try await send(request, into: file)
            if response.status < 400 { return try await use(&response) }
            let content = try await response.body()
            throw StemSplitterError(status: response.status, retryAfter: response.retryAfter, body: content)
        } catch let lost as URLError {
            try Task.checkCancellation()
            throw StemSplitterError(.connection, "\(method) \(url) failed: \(lost.localizedDescription)")
        }
    }

    /// Sends a request until it succeeds. Responses 429 are always repeated, lost connections and errors of the server
    /// only if it is repeatable.
    func request<Value>(
        _ method: String, _ url: String, headers: () -> [String: String], body: Data? = nil,
        isRepeatable: Bool = true, into file: FileHandle? = nil, use: (inout Response) async throws -> Value
    ) async throws -> Value {
        var attempt = 1
        while true {
            do {
                return try await exchange(method, url, headers(), body, into: file, use: use)
            } catch var error as StemSplitterError {
                error.attempts = attempt
                // 409: the server is doing it for the same idempotency key
                let isAgain = error.status == 429 || error.status == 409 && error.retryAfter != nil
                    || isRepeatable && error.isTemporary
                guard isAgain, attempt <= maxRetries, (error.retryAfter ?? 0) <= maxRetryAfter else { throw error }
                try await pause(attempt, error)
                attempt += 1
            }
        }
    }

    /// Waits before the next attempt, as long as the server asks for, else exponentially longer with jitter.
    func pause(_ attempt: Int, _ error: StemSplitterError) async throws {
        let longest = min(0.5 * pow(2, Double(attempt - 1)), 8)
        let delay = error.retryAfter ?? longest * Double.random(in: 0.5...1)
        log?(Retry(attempt: attempt, delay: delay, error: error))
        try await sleep(delay)
    }

    private func send(_ request: URLRequest, into file: FileHandle?) async throws -> Response {
        let task = session.dataTask(with: request)
        let stream = AsyncThrowingStream<Part, Error> { receiver.receive(task, $0, file) }
        var parts = stream.makeAsyncIterator()
        let first = try await parts.next()
        try Task.checkCancellation()
        guard case .head(let http) = first else { throw URLError(.badServerResponse) }
        return Response(status: http.statusCode, http: http, parts: parts)
    }
}

#if canImport(FoundationNetworking)
    /// Queue that lets the connection wait while many parts wait for the delegate: on Linux, URLSession reads on.
    private final class DelegateQueue: OperationQueue, @unchecked Sendable {
        private let places = DispatchSemaphore(value: 64)

        override func addOperation(_ block: @escaping @Sendable () -> Void) {
            places.wait()
            super.addOperation { [places] in block(); places.signal() }
        }
    }
#else
    private typealias DelegateQueue = OperationQueue
#endif

/// Passes what tasks receive to the streams of their responses.
private final class Receiver: NSObject, URLSessionDataDelegate, @unchecked Sendable {
    private let lock = NSLock()
    private typealias Stream = (parts: AsyncThrowingStream<Part, Error>.Continuation, file: FileHandle?)
    private var streams: [Int: Stream] = [:]

    func receive(_ task: URLSessionTask, _ stream: AsyncThrowingStream<Part, Error>.Continuation, _ file: FileHandle?) {
        lock.withLock { streams[task.taskIdentifier] = (stream, file) }
        // elsewhere: the connection may be waiting for the queue of the delegate
        stream.onTermination = { _ in DispatchQueue.global().async { task.cancel() } }
        task.resume()
    }

    func urlSession(
        _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
        completionHandler: @escaping (URLSession.ResponseDisposition) -> Void
    ) {
        if let http = response as? HTTPURLResponse, let stream = stream(dataTask) {
            if http.statusCode == 200 { try? stream.file?.truncate(atOffset: 0) }
            stream.parts.yield(.head(http))
        }
        completionHandler(.allow)
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        guard let stream = stream(dataTask) else { return }
        guard let file = stream.file, [200, 206].contains((dataTask.response as? HTTPURLResponse)?.statusCode) else {
            stream.parts.yield(.data(data))
            return
        }
        do { try file.write(contentsOf: data) } catch { stream.parts.finish(throwing: error) }
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: Error?) {
        let ended = lock.withLock { streams.removeValue(forKey: task.taskIdentifier) }
        ended?.parts.finish(throwing: error)
    }

    /// Does not follow redirects: the key must not reach their targets.
    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping (URLRequest?) -> Void
    ) { completionHandler(nil) }

    private func stream(_ task: URLSessionTask) -> Stream? {
        lock.withLock { streams[task.taskIdentifier] }
    }
}
