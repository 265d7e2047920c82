// Driver of the conformance suite: see sdks/conformance/PROTOCOL.md.
import Foundation
import StemSplitter

/// Values that callbacks add.
final class Log<Value: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var values: [Value] = []

    func add(_ value: Value) { lock.withLock { values.append(value) } }
    func taken() -> [Value] { lock.withLock { defer { values = [] }; return values } }
}

struct Command {
    let fields: JSON
    func text(_ name: String) -> String? { fields[name]?.string }
    func number(_ name: String) -> Double? { fields[name]?.number }
    var id: String { text("id") ?? "" }
    var file: URL { URL(fileURLWithPath: text("path") ?? "") }
    var timeout: Double { number("timeout") ?? 300 }
    var status: Status? { text("status").map { Status(rawValue: $0) } }
    var format: Format { Format(text("format"), bitDepth: text("bitDepth"), bitrate: text("bitrate").flatMap { Int($0) }) }

    func decoded<Value: Decodable>(_ name: String) throws -> Value {
        try JSONDecoder().decode(Value.self, from: JSONEncoder().encode(fields[name]))
    }
}

func json(_ value: some Encodable) throws -> JSON {
    try JSONDecoder().decode(JSON.self, from: JSONEncoder().encode(value))
}

let slept = Log<Double>()
nonisolated(unsafe) var client: StemSplitter!

func run(_ command: Command) async throws -> JSON {
    switch command.text("op") {
    case "new":
        let isFast = command.fields["isFast"] == true
        client = try StemSplitter(
            apiKey: command.text("apiKey"), baseURL: command.text("baseUrl"),
            chunkBytes: command.number("chunkBytes").map { Int($0) },
            sleep: {
                slept.add($0)
                if !isFast { try await Task.sleep(nanoseconds: UInt64($0 * 1e9)) }
            })
        return .null
    case "credits": return try json(try await client.credits())
    case "models": return try json(try await client.models())
    case "voices": return try json(try await client.voices())
    case "secrets": return try json(try await client.webhookSecrets())
    case "replay": return try json(try await client.replayDelivery(command.id))
    case "create_endpoint": return try json(try await client.webhookEndpoints.create(command.decoded("request")))
    case "get_endpoint": return try json(try await client.webhookEndpoints.get(command.id))
    case "list_endpoints": return try json(try await client.webhookEndpoints.list())
    case "update_endpoint":
        return try json(try await client.webhookEndpoints.update(command.id, command.decoded("request")))
    case "delete_endpoint":
        try await client.webhookEndpoints.delete(command.id)
        return ["id": .string(command.id), "deleted": true]
    case "rotate_endpoint": return .string(try await client.webhookEndpoints.rotateSecret(command.id))
    case "test_endpoint": return try json(try await client.webhookEndpoints.sendTest(command.id))
    case "upload":
        let sent = Log<JSON>()
        let upload = try await client.upload(file: command.file, filename: command.text("filename")) { bytes, _ in
            sent.add(.number(Double(bytes)))
        }
        let fields: JSON = [
            "input": try json(upload.input), "uploadId": .string(upload.uploadId), "fileUrl": .string(upload.fileURL),
            "storageKey": .string(upload.storageKey), "expiresAt": upload.expiresAt.map { .string($0) } ?? .null,
        ]
        return ["upload": fields, "progress": .array(sent.taken())]
    case "stem":
        let name = command.text("name") ?? ""
        try await client.downloadStem(
            command.id, name, to: command.file, as: command.format, timeout: command.timeout)
        return .string(command.file.path)
    case "archive":
        try await client.downloadArchive(
            command.id, to: command.file, as: command.format, timeout: command.timeout)
        return .string(command.file.path)
    case "cover":
        try await client.downloadCover(command.id, to: command.file)
        return .string(command.file.path)
    case "peaks":
        return try json(try await client.peaks(command.id, resolution: command.text("resolution") ?? ""))
    case "previews": return try json(try await client.previews(command.id, codec: command.text("codec") ?? ""))
    case "rotate": return .string(try await client.rotateWebhookSecret())
    case "test_webhook": return try json(try await client.sendTestWebhook(command.text("url") ?? ""))
    case "verify":
        let headers: [String: String] =
            try command.text("headers").map { ["AIStemSplitter-Signature": $0] } ?? command.decoded("headers")
        return try json(
            try verifyWebhook(
                body: Data((command.text("body") ?? "").utf8), headers: headers, secret: command.text("secret") ?? "",
                tolerance: command.number("tolerance") ?? 300,
                now: command.number("now").map { Date(timeIntervalSince1970: $0) } ?? Date()))
    default: break
    }
    switch command.text("kind") {
    case "deliveries":
        if command.text("op") == "get" { return try json(try await client.deliveries.get(command.id)) }
        let found = client.deliveries.all(
            status: command.status, splitId: command.text("splitId"), endpointId: command.text("endpointId"))
        var ids: [JSON] = []
        for try await delivery in found { ids.append(.string(delivery.id)) }
        return .array(ids)
    case "analyses": return try await run(command, client.analyses)
    case "effects": return try await run(command, client.effects)
    case "speech": return try await run(command, client.speech)
    case "mixes": return try await run(command, client.mixes(command.text("split") ?? ""))
    default: return try await run(command, client.splits)
    }
}

func run<Request: Codable>(_ command: Command, _ jobs: Jobs<Request>) async throws -> JSON {
    switch command.text("op") {
    case "create":
        let request: Request = try command.decoded("request")
        return try json(try await jobs.create(request, idempotencyKey: command.text("idempotencyKey")))
    case "get": return try json(try await jobs.get(command.id))
    case "chords":
        let job = try await jobs.get(command.id)
        return try json(job.chords ?? job.analysis?.chords)
    case "wait":
        let updates = Log<JSON>()
        let job = try await jobs.wait(command.id, timeout: command.timeout) {
            updates.add($0.progress.map { .number(Double($0)) } ?? .null)
        }
        return ["job": try json(job), "updates": .array(updates.taken())]
    case "list":
        var ids: [JSON] = []
        for try await job in jobs.all(status: command.status) { ids.append(.string(job.id)) }
        return .array(ids)
    case "cancel": return try json(try await jobs.cancel(command.id))
    case "delete":
        try await jobs.delete(command.id)
        return ["id": .string(command.id), "deleted": true]
    case "download":
        let folder = URL(fileURLWithPath: command.text("folder") ?? "")
        let paths = try await jobs.download(try await jobs.get(command.id), to: folder)
        return try json(paths.mapValues(\.path))
    default: fatalError("unknown command: \(command.fields)")
    }
}

func told(_ error: StemSplitterError) -> JSON {
    func text(_ value: String?) -> JSON { value.map { .string($0) } ?? .null }
    func number(_ value: Double?) -> JSON { value.map { .number($0) } ?? .null }
    return [
        "code": .string(error.code.rawValue), "status": .number(Double(error.status)), "message": .string(error.message),
        "requestId": text(error.requestId), "docUrl": text(error.docURL), "param": text(error.param),
        "retryAfter": number(error.retryAfter), "requiredSeconds": number(error.requiredSeconds.map { Double($0) }),
        "balance": number(error.balance.map { Double($0) }),
    ]
}

while let line = readLine() {
    let command = Command(fields: try JSONDecoder().decode(JSON.self, from: Data(line.utf8)))
    var result: [String: JSON] = [:]
    do {
        result["ok"] = try await run(command)
    } catch let error as StemSplitterError {
        result["error"] = told(error)
    }
    result["slept"] = .array(slept.taken().map { .number($0) })
    FileHandle.standardOutput.write(try JSONEncoder().encode(result) + Data("\n".utf8))
}
