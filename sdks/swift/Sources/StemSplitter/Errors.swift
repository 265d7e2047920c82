import Foundation

/// Error of all calls, apart from `CancellationError` and the errors of local files.
///
///     catch let error as StemSplitterError where error.code == .notFound
public struct StemSplitterError: LocalizedError, CustomStringConvertible, Sendable {
    /// Code of the API, of this client, or `HTTP_ERROR` for a response that is not of the API.
    public struct Code: RawRepresentable, ExpressibleByStringLiteral, Hashable, Sendable {
        public static let unauthorized: Code = "UNAUTHORIZED", insufficientCredits: Code = "INSUFFICIENT_CREDITS"
        public static let notFound: Code = "NOT_FOUND", conflict: Code = "CONFLICT", canceled: Code = "CANCELED"
        public static let validation: Code = "VALIDATION_ERROR", rateLimited: Code = "RATE_LIMITED"
        public static let server: Code = "SERVER_ERROR", http: Code = "HTTP_ERROR"

        public static let config: Code = "CONFIG_ERROR", connection: Code = "CONNECTION_ERROR"
        public static let timeout: Code = "TIMEOUT", invalidSignature: Code = "INVALID_SIGNATURE"
        public static let download: Code = "DOWNLOAD_ERROR", upload: Code = "UPLOAD_ERROR"

        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public init(stringLiteral value: String) { rawValue = value }
    }

    public let code: Code
    /// One sentence that says what is wrong.
    public let message: String
    /// HTTP status; 0 if there was no response.
    public internal(set) var status = 0
    /// Id of the request in the server's log.
    public internal(set) var requestId: String?
    /// Address of the documentation of the code.
    public internal(set) var docURL: String?
    /// Part of the request that is wrong, such as `input.url`.
    public internal(set) var param: String?
    /// Seconds that the server asks to wait.
    public internal(set) var retryAfter: Double?
    /// Credits that the song needs, and those of the account.
    public internal(set) var requiredSeconds, balance: Int?
    /// Number of times that the request was sent.
    public internal(set) var attempts = 1

    public var errorDescription: String? { description }
    public var description: String { "\(code.rawValue): \(message)" }

    init(_ code: Code, _ message: String) { (self.code, self.message) = (code, message) }

    /// Reads the error of a response: in the envelope, flat as of upload URLs, or of a proxy.
    init(status: Int, retryAfter: Double?, body: Data) {
        let envelope = try? JSONDecoder().decode(JSON.self, from: body)
        let error = envelope?["error"], flat = error?.string
        let message = flat == nil ? error?["message"]?.string : envelope?["message"]?.string ?? flat
        self.init(
            Code(rawValue: flat ?? error?["code"]?.string ?? "HTTP_ERROR"),
            message ?? "The request failed with status \(status).")
        (self.status, self.retryAfter) = (status, retryAfter)
        requestId = error?["requestId"]?.string
        docURL = error?["docUrl"]?.string
        param = error?["param"]?.string
        requiredSeconds = error?["requiredSeconds"]?.number.map { Int($0) }
        balance = error?["balance"]?.number.map { Int($0) }
    }

    /// The same request may succeed later.
    var isTemporary: Bool { [408, 429, 500, 502, 503, 504].contains(status) || code == .connection }
}
