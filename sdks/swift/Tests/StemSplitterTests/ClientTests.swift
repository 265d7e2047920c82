// Behavior that is particular to Swift; the conformance suite tests the rest.
import Foundation
import Testing

@testable import StemSplitter

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Answer of a fake server; nil for none.
typealias Answer = (status: Int, headers: [String: String], body: String)

final class FakeServer: URLProtocol, @unchecked Sendable {
    nonisolated(unsafe) static var answer: (URLRequest) -> Answer? = { _ in nil }

    override class func canInit(with request: URLRequest) -> Bool { true }
    override class func canonicalRequest(for request: URLRequest) -> URLRequest { request }
    override func stopLoading() {}

    override func startLoading() {
        guard let answer = Self.answer(request) else { return }
        let response = HTTPURLResponse(
            url: request.url!, statusCode: answer.status, httpVersion: "HTTP/1.1", headerFields: answer.headers)!
        client?.urlProtocol(self, didReceive: response, cacheStoragePolicy: .notAllowed)
        client?.urlProtocol(self, didLoad: Data(answer.body.utf8))
        if answer.headers["Content-Type"] != "text/event-stream" { client?.urlProtocolDidFinishLoading(self) }
    }
}

#if canImport(Glibc)
    let stream = SOCK_STREAM.rawValue
#else
    let stream = SOCK_STREAM
#endif

final class Notes: @unchecked Sendable {
    private let lock = NSLock()
    private var lines: [String] = []

    func add(_ line: String) { lock.withLock { lines.append(line) } }
    var all: [String] { lock.withLock { lines } }
}

func client(
    chunkBytes: Int? = nil, log: (@Sendable (Retry) -> Void)? = nil,
    answer: @escaping (URLRequest) -> Answer?
) throws -> StemSplitter {
    FakeServer.answer = answer
    let configuration = URLSessionConfiguration.ephemeral
    configuration.protocolClasses = [FakeServer.self]
    return try StemSplitter(
        apiKey: "key", baseURL: "http://server/v1/", chunkBytes: chunkBytes, configuration: configuration, log: log, sleep: { _ in })
}

@Suite(.serialized) struct ClientTests {
    @Test func missingKeyIsReported() {
        #expect { try StemSplitter(apiKey: "", baseURL: "http://server") } throws: {
            ($0 as? StemSplitterError)?.code == .config
        }
    }

    @Test func errorsAreTyped() async throws {
        let body = #"{"error": {"code": "INSUFFICIENT_CREDITS", "message": "Add credits.", "balance": 3}}"#
        let client = try client { _ in (402, [:], body) }
        do {
            _ = try await client.splits.create(SplitRequest(input: .link("https://example.com")))
            Issue.record("no error")
        } catch let error as StemSplitterError where error.code == .insufficientCredits {
            #expect((error.status, error.balance) == (402, 3))
            #expect(error.localizedDescription == "INSUFFICIENT_CREDITS: Add credits.")
        }
    }

    @Test func canceledTaskEndsAWait() async throws {
        let client = try client {
            let isStream = $0.url!.path.hasSuffix("/events")
            let job = #"{"id": "s", "status": "queued"}"#
            return isStream ? (200, ["Content-Type": "text/event-stream"], "data: \(job)\n\n") : nil
        }
        let (seen, update) = AsyncStream<Void>.makeStream()
        let wait = Task { try await client.splits.wait("s") { _ in update.yield() } }
        for await _ in seen { break }
        wait.cancel()
        await #expect(throws: CancellationError.self) { try await wait.value }
    }

    @Test func silentConnectionIsLost() async throws {
        // a socket that never accepts: protocols of tests have no timeouts
        let listener = socket(AF_INET, Int32(stream), 0)
        defer { close(listener) }
        var address = sockaddr_in(), size = socklen_t(MemoryLayout<sockaddr_in>.size)
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                #expect(bind(listener, $0, size) == 0 && listen(listener, 1) == 0 && getsockname(listener, $0, &size) == 0)
            }
        }
        let port = UInt16(bigEndian: address.sin_port)
        let client = try StemSplitter(apiKey: "key", baseURL: "http://127.0.0.1:\(port)", timeout: 1, maxRetries: 0)
        await #expect { try await client.credits() } throws: { ($0 as? StemSplitterError)?.code == .connection }
    }

    @Test func dataIsUploadedInChunksAndALostChunkIsSentAgain() async throws {
        let sent = Notes(), retries = Notes()
        let client = try client(chunkBytes: 3, log: { retries.add("\($0.attempt) \($0.error.status)") }) { request in
            switch request.httpMethod {
            case "POST":
                let reservation = #"{"uploadId": "u", "uploadUrl": "http://server/u", "uploadHeaders": {}}"#
                return (200, [:], #"{"data": \#(reservation)}"#)
            case "HEAD": return (200, ["Upload-Offset": "4"], "")
            default:
                sent.add(request.value(forHTTPHeaderField: "Upload-Offset")!)
                let isLast = request.value(forHTTPHeaderField: "Upload-Complete") == "?1"
                return sent.all.count == 2 ? (502, [:], "") : (200, [:], isLast ? #"{"data": {"url": "f", "key": "k"}}"# : "")
            }
        }
        let upload = try await client.upload(data: Data("abcdefgh".utf8), filename: "a.mp3")
        #expect(upload.input.storageKey == "k")
        #expect(sent.all == ["0", "3", "4", "7"])
        #expect(retries.all == ["1 502"])
    }

    @Test func iterationEndsWithAnError() async throws {
        let client = try client {
            let isFirst = $0.url!.query?.contains("cursor") == false
            return isFirst ? (200, [:], #"{"data": {"items": [{"id": "a", "status": "queued"}], "nextCursor": "c"}}"#) : (404, [:], "")
        }
        var seen: [String] = []
        await #expect(throws: StemSplitterError.self) {
            for try await job in client.splits.all() { seen.append(job.id) }
        }
        #expect(seen == ["a"])
    }

    @Test func sha256MatchesTheStandard() {
        let digests = [
            "": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            String(repeating: "a", count: 1000): "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3",
        ]
        for (message, digest) in digests {
            #expect(sha256(Data(message.utf8)).map { String(format: "%02x", $0) }.joined() == digest)
        }
    }
}
