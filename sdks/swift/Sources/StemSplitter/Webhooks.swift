import Foundation

#if canImport(CryptoKit)
    import CryptoKit
#endif

/// Saved URLs, which get the webhooks of all jobs. The server disables those that fail for days.
public struct WebhookEndpoints: Sendable {
    let saved: Collection<WebhookEndpoint, WebhookSettings>

    /// Saves an endpoint; its URL and its events are required. Its signing secret is in this response only.
    public func create(_ settings: WebhookSettings) async throws -> WebhookEndpoint {
        try await saved.client.call("POST", saved.path, settings, isRepeatable: false)
    }

    public func get(_ id: String) async throws -> WebhookEndpoint { try await saved.get(id) }

    /// Returns all endpoints, newest first.
    public func list() async throws -> [WebhookEndpoint] { try await saved.client.items(saved.path) }

    /// Changes an endpoint. Settings that are nil stay as they are.
    @discardableResult
    public func update(_ id: String, _ changes: WebhookSettings) async throws -> WebhookEndpoint {
        try await saved.client.call("POST", saved.at(id), changes)
    }

    /// Deletes an endpoint. Its pending deliveries end as failed.
    public func delete(_ id: String) async throws { try await saved.remove(id) }

    /// Creates a signing secret of the endpoint. The previous one stays active for 24 hours.
    public func rotateSecret(_ id: String) async throws -> String { try await saved.client.newSecret("\(saved.at(id))/rotate") }

    /// Sends a test event to the endpoint. Returns its delivery.
    public func sendTest(_ id: String) async throws -> Delivery {
        try await saved.client.call("POST", "\(saved.at(id))/test", isRepeatable: false)
    }
}

/// Event of a webhook, such as `audio.split.completed` or `audio.analysis.failed`; `data` is the job.
public struct WebhookEvent: Codable, Sendable {
    public let event: String
    public let data: JSON
}

private let signatureHeader = "AIStemSplitter-Signature"

/// Verifies a webhook and returns its event.
///
/// - Parameters:
///   - body: that received, unchanged.
///   - headers: those of the request; the signatures of both schemes are verified, if present.
///   - secret: the signing secret, `whsec_…`.
///   - tolerance: the largest age in seconds.
/// - Throws: `StemSplitterError` with the code `.invalidSignature`.
public func verifyWebhook(
    body: Data, headers: [String: String], secret: String, tolerance: TimeInterval = 300, now: Date = Date()
) throws -> WebhookEvent {
    let lower = headers.map { ($0.key.lowercased(), $0.value.trimmingCharacters(in: .whitespaces)) }
    let found = Dictionary(lower, uniquingKeysWith: { first, _ in first })
    let own = found[signatureHeader.lowercased()], standard = found["webhook-signature"]
    guard !secret.isEmpty else { throw invalid("The secret is empty.") }
    guard own != nil || standard != nil else { throw invalid("The request has no signature.") }
    if let own {
        let parts = own.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        let times = parts.filter { $0.hasPrefix("t=") }.map { String($0.dropFirst(2)) }
        guard times.count == 1 else { throw invalid("\(signatureHeader) is malformed.") }
        try checkAge(times[0], tolerance, now)
        let mac = hmacSHA256(key: Data(secret.utf8), Data("\(times[0]).".utf8) + body)
        try match("v1=" + mac.map { String(format: "%02x", $0) }.joined(), parts)
    }
    if let standard {
        let time = found["webhook-timestamp"] ?? "", id = found["webhook-id"] ?? ""
        try checkAge(time, tolerance, now)
        guard let key = Data(base64Encoded: secret.hasPrefix("whsec_") ? String(secret.dropFirst(6)) : secret) else {
            throw invalid("The secret must be whsec_ and base64.")
        }
        let mac = hmacSHA256(key: key, Data("\(id).\(time).".utf8) + body)
        try match("v1," + mac.base64EncodedString(), standard.split(separator: " ").map(String.init))
    }
    guard let event = try? JSONDecoder().decode(WebhookEvent.self, from: body) else {
        throw invalid("The body is not JSON.")
    }
    return event
}

private func invalid(_ message: String) -> StemSplitterError { StemSplitterError(.invalidSignature, message) }

private func checkAge(_ time: String, _ tolerance: TimeInterval, _ now: Date) throws {
    guard (1...11).contains(time.utf8.count), time.utf8.allSatisfy({ (48...57).contains($0) }), let sent = Double(time)
    else { throw invalid("The timestamp is missing or malformed.") }
    guard abs(now.timeIntervalSince1970 - sent) <= tolerance else {
        throw invalid("The timestamp differs from the time by more than \(Int(tolerance)) seconds.")
    }
}

/// Compares in a time that does not depend on the values.
private func match(_ expected: String, _ given: [String]) throws {
    let wanted = Array(expected.utf8)
    for each in given where each.utf8.count == wanted.count {
        if zip(each.utf8, wanted).reduce(UInt8(0), { $0 | ($1.0 ^ $1.1) }) == 0 { return }
    }
    throw invalid("No signature matches the body and the secret.")
}

func hmacSHA256(key: Data, _ message: Data) -> Data {
    #if canImport(CryptoKit)
        return Data(HMAC<CryptoKit.SHA256>.authenticationCode(for: message, using: SymmetricKey(data: key)))
    #else
        let block = (key.count > 64 ? sha256(key) : key) + Data(count: 64 - (key.count > 64 ? 32 : key.count))
        return sha256(Data(block.map { $0 ^ 0x5c }) + sha256(Data(block.map { $0 ^ 0x36 }) + message))
    #endif
}
