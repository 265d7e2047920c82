import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Client of a Stem Splitter server. Canceling the task of a call ends it.
///
///     let client = try StemSplitter()
///     let upload = try await client.upload(file: URL(fileURLWithPath: "song.mp3"))
///     let split = try await client.splits.create(SplitRequest(input: upload.input, stemModel: "4s"))
public final class StemSplitter: Sendable {
    /// Version of this package.
    public static let version = "0.1.0"

    public let apiKey, baseURL: String
    let chunkBytes: Int
    let http: Transport

    /// Creates a client.
    ///
    /// - Parameters:
    ///   - apiKey: `ast_live_…`; the environment variable `STEMSPLITTER_KEY` by default.
    ///   - baseURL: address of the server, with or without `/v1`; `STEMSPLITTER_URL` by default.
    ///   - timeout: seconds that a connection may be silent.
    ///   - maxRetries: repetitions of a request after a lost connection, a response 429 or an error of the server.
    ///   - chunkBytes: size of the chunks of uploads, at least 65536; 4 MiB by default.
    ///   - configuration: of the `URLSession`, for example with a proxy.
    ///   - log: called before each retry.
    ///   - sleep: waits for seconds; tests replace it.
    /// - Throws: `StemSplitterError` with the code `.config` if there is no key or no address.
    public init(
        apiKey: String? = nil, baseURL: String? = nil, timeout: TimeInterval = 60, maxRetries: Int = 4,
        chunkBytes: Int? = nil, configuration: URLSessionConfiguration? = nil,
        log: (@Sendable (Retry) -> Void)? = nil, sleep: (@Sendable (TimeInterval) async throws -> Void)? = nil
    ) throws {
        let environment = ProcessInfo.processInfo.environment
        guard let key = apiKey ?? environment["STEMSPLITTER_KEY"], !key.isEmpty else {
            throw StemSplitterError(.config, "Missing API key: pass apiKey or set STEMSPLITTER_KEY.")
        }
        guard var address = baseURL ?? environment["STEMSPLITTER_URL"], !address.isEmpty else {
            throw StemSplitterError(.config, "Missing address of the server: pass baseURL or set STEMSPLITTER_URL.")
        }
        while address.hasSuffix("/") { address.removeLast() }
        self.apiKey = key
        self.baseURL = address.hasSuffix("/v1") ? address : address + "/v1"
        self.chunkBytes = chunkBytes ?? 4 << 20
        let plain = URLSessionConfiguration.ephemeral
        (plain.urlCache, plain.httpCookieStorage, plain.httpShouldSetCookies) = (nil, nil, false)
        http = Transport(
            configuration ?? plain, timeout: timeout, maxRetries: maxRetries, log: log, sleep: sleep)
    }

    public var splits: Jobs<SplitRequest> { Jobs(client: self, path: "/audio/splits") }
    public var analyses: Jobs<AnalysisRequest> { Jobs(client: self, path: "/audio/analyses") }
    public var effects: Jobs<EffectRequest> { Jobs(client: self, path: "/audio/effects") }
    public var speech: Jobs<SpeechRequest> { Jobs(client: self, path: "/audio/speech") }
    public var deliveries: Collection<Delivery, Never> { Collection(client: self, path: "/webhooks/deliveries") }
    public var webhookEndpoints: WebhookEndpoints {
        WebhookEndpoints(saved: Collection(client: self, path: "/webhook_endpoints"))
    }

    /// Mixes of a split. They can be neither canceled nor deleted: they end with the split.
    public func mixes(_ splitId: String) -> Jobs<MixRequest> {
        Jobs(client: self, path: "\(splits.at(splitId))/mixes", hasEvents: false)
    }

    public func credits() async throws -> Credits { try await call("GET", "/credits") }

    /// Returns the models of the server, the preferred one first.
    public func models() async throws -> [Model] { try await items("/models") }

    /// Returns the voices of speech.
    public func voices() async throws -> [Voice] { try await items("/voices") }

    /// Returns the peaks of the stems, to draw waveforms. The resolution is `overview` or `full`.
    public func peaks(_ splitId: String, resolution: String = "overview") async throws -> Peaks {
        try await call("GET", "\(splits.at(splitId))/peaks\(query([("resolution", resolution)]))")
    }

    /// Returns links to small files of the stems, for a player. The codec is `opus` or `aac`. There is `status` instead of
    /// `stems` while the server makes them.
    public func previews(_ splitId: String, codec: String = "opus") async throws -> Previews {
        try await call("GET", "\(splits.at(splitId))/previews\(query([("codec", codec)]))")
    }

    /// Creates a signing secret for URLs that are part of requests. The previous one stays active for 24 hours.
    public func rotateWebhookSecret() async throws -> String { try await newSecret("/webhooks/secrets/rotate") }

    /// Returns the active signing secrets, without their values.
    public func webhookSecrets() async throws -> [WebhookSecret] { try await items("/webhooks/secrets") }

    /// Sends a test event. Returns its delivery.
    public func sendTestWebhook(_ url: String) async throws -> Delivery {
        try await call("POST", "/webhooks/test", ["url": url], isRepeatable: false)
    }

    /// Delivers an event again. Returns the new delivery.
    public func replayDelivery(_ id: String) async throws -> Delivery {
        try await call("POST", "\(deliveries.at(id))/replay", isRepeatable: false)
    }

    func newSecret(_ path: String) async throws -> String {
        let made: WebhookSecret = try await call("POST", path, isRepeatable: false)
        return made.secret ?? ""
    }

    func items<Item: Decodable & Sendable>(_ path: String) async throws -> [Item] {
        let page: Page<Item> = try await call("GET", path)
        return page.items
    }

    /// Sends a request to a path of the API. Returns `data` of the response.
    func call<Value: Decodable>(
        _ method: String, _ path: String, _ body: (any Encodable)? = nil, key: String? = nil, isRepeatable: Bool = true
    ) async throws -> Value {
        var headers = headers()
        headers["Content-Type"] = body == nil ? nil : "application/json"
        headers["Idempotency-Key"] = key
        let content = try body.map { try JSONEncoder().encode($0) }
        return try await http.request(
            method, baseURL + path, headers: { headers }, body: content, isRepeatable: isRepeatable
        ) { try Self.data(of: try await $0.body(), Value.self) }
    }

    /// Returns `data` of a response.
    static func data<Value: Decodable>(of content: Data, _ type: Value.Type) throws -> Value {
        guard let envelope = try? JSONDecoder().decode(Envelope<Value>.self, from: content) else {
            throw StemSplitterError(.http, "The response is not of the API: check baseURL.")
        }
        return envelope.data
    }

    func headers(accept: String = "application/json") -> [String: String] {
        ["Accept": accept, "Authorization": "Bearer \(apiKey)"]
    }
}

private struct Envelope<Value: Decodable>: Decodable { let data: Value }

/// Encodes a part of a URL.
func encoded(_ text: String) -> String {
    let plain = CharacterSet(charactersIn: "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
    return text.addingPercentEncoding(withAllowedCharacters: plain) ?? text
}

/// Returns the query with the values that are not nil.
func query(_ pairs: [(String, String?)]) -> String {
    let given = pairs.compactMap { name, value in value.map { "\(name)=\(encoded($0))" } }
    return given.isEmpty ? "" : "?" + given.joined(separator: "&")
}
