import Foundation

/// A value of JSON. Literals make one: `["semitones": -2]`.
public enum JSON: Codable, Equatable, Sendable {
    case null, bool(Bool), number(Double), string(String), array([JSON]), object([String: JSON])

    public init(from decoder: Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let found = try? value.decode(Bool.self) {
            self = .bool(found)
        } else if let found = try? value.decode(Double.self) {
            self = .number(found)
        } else if let found = try? value.decode(String.self) {
            self = .string(found)
        } else if let found = try? value.decode([JSON].self) {
            self = .array(found)
        } else {
            self = .object(try value.decode([String: JSON].self))
        }
    }

    public func encode(to encoder: Encoder) throws {
        var value = encoder.singleValueContainer()
        switch self {
        case .null: try value.encodeNil()
        case .bool(let found): try value.encode(found)
        case .number(let found): try value.encode(found)
        case .string(let found): try value.encode(found)
        case .array(let found): try value.encode(found)
        case .object(let found): try value.encode(found)
        }
    }

    /// A field of an object.
    public subscript(name: String) -> JSON? {
        if case .object(let fields) = self { fields[name] } else { nil }
    }

    public var string: String? {
        if case .string(let found) = self { found } else { nil }
    }

    public var number: Double? {
        if case .number(let found) = self { found } else { nil }
    }
}

extension JSON: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(nilLiteral: ()) { self = .null }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int) { self = .number(Double(value)) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(Dictionary(elements, uniquingKeysWith: { $1 }))
    }
}

/// Song of a job: a direct URL, a link of a page, an uploaded file, or for tools a split or one of its stems.
public struct Input: Codable, Sendable {
    public var type: String
    public var url, uploadId, fileUrl, storageKey, id, stem: String?

    public static func directURL(_ url: String) -> Input { Input(type: "direct_url", url: url) }

    public static func link(_ url: String) -> Input { Input(type: "link", url: url) }

    public static func split(_ id: String, stem: String? = nil) -> Input { Input(type: "split", id: id, stem: stem) }
}

/// Uploaded file. `input` is the input of a job.
public struct Upload: Sendable {
    public let uploadId, fileURL, storageKey: String
    public let expiresAt: String?

    public var input: Input {
        Input(type: "uploaded_file", uploadId: uploadId, fileUrl: fileURL, storageKey: storageKey)
    }
}

/// Request of a split. Properties that are nil have the server's default.
public struct SplitRequest: Codable, Sendable {
    public var input: Input
    /// The model is `2s`, `4s`, `6s` or a name; the format `mp3`, `wav`, `flac`, `ogg`, `m4a`…; the quality `fast`,
    /// `balanced` or `best`; the priority `normal`, or `low`: when no other job waits.
    public var stemModel, outputFormat, bitDepth, quality, webhookUrl, priority: String?
    public var stems, instruments: [String]?
    public var metadata: [String: String]?

    public init(
        input: Input, stemModel: String? = nil, outputFormat: String? = nil, bitDepth: String? = nil,
        quality: String? = nil, stems: [String]? = nil, instruments: [String]? = nil, webhookUrl: String? = nil,
        metadata: [String: String]? = nil
    ) {
        (self.input, self.stemModel, self.outputFormat) = (input, stemModel, outputFormat)
        (self.bitDepth, self.quality, self.stems, self.instruments) = (bitDepth, quality, stems, instruments)
        (self.webhookUrl, self.metadata) = (webhookUrl, metadata)
    }
}

/// Request of a mix of stems.
public struct MixRequest: Codable, Sendable {
    /// Decibels by stem; nil leaves a stem out.
    public var gains: [String: Double?]
    /// Positions by stem, from -1 (left) to 1 (right).
    public var pan: [String: Double]?
    public var format, bitDepth: String?
    public var bitrate: Int?

    public init(
        gains: [String: Double?] = [:], pan: [String: Double]? = nil, format: String? = nil, bitDepth: String? = nil,
        bitrate: Int? = nil
    ) {
        (self.gains, self.pan, self.format, self.bitDepth, self.bitrate) = (gains, pan, format, bitDepth, bitrate)
    }
}

/// Request of the tempo, key and tuning of a song.
public struct AnalysisRequest: Codable, Sendable {
    public var input: Input
    public var webhookUrl: String?
    public var metadata: [String: String]?

    public init(input: Input) { self.input = input }
}

/// Request of an effect: `pitch`, `speed`, `nightcore`, `daycore`, `slowed_reverb` or `voice_isolator`.
public struct EffectRequest: Codable, Sendable {
    public var input: Input
    public var effect: String
    /// Such as `["semitones": -2]`.
    public var parameters: [String: JSON]?
    public var outputFormat, webhookUrl: String?
    public var metadata: [String: String]?

    public init(input: Input, effect: String, parameters: [String: JSON]? = nil, outputFormat: String? = nil) {
        (self.input, self.effect, self.parameters, self.outputFormat) = (input, effect, parameters, outputFormat)
    }
}

/// Request of speech.
public struct SpeechRequest: Codable, Sendable {
    public var text: String
    public var voice: String?
    public var speed, pitch: Double?
    public var outputFormat, webhookUrl: String?
    public var metadata: [String: String]?

    public init(
        text: String, voice: String? = nil, speed: Double? = nil, pitch: Double? = nil, outputFormat: String? = nil
    ) {
        (self.text, self.voice, self.speed, self.pitch, self.outputFormat) = (text, voice, speed, pitch, outputFormat)
    }
}

/// State of a job.
public struct Status: RawRepresentable, ExpressibleByStringLiteral, Codable, Hashable, Sendable {
    public static let queued = Status(rawValue: "queued"), processing = Status(rawValue: "processing")
    public static let succeeded = Status(rawValue: "succeeded"), failed = Status(rawValue: "failed")

    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public init(stringLiteral value: String) { rawValue = value }
}

/// Job of any kind, with the properties of ``Known``: those of other kinds are nil.
@dynamicMemberLookup
public struct Job: Codable, Sendable {
    /// All fields, as the server sent them.
    public let fields: [String: JSON]
    private let known: Known

    public struct Known: Decodable, Sendable {
        public let id: String
        public let status: Status
        /// Percent; nil for mixes.
        public let progress: Int?
        public let filename, createdAt, updatedAt, expiresAt, stemModel, outputFormat: String?
        public let creditsUsed, creditsRefunded, durationSeconds: Int?
        public let metadata: [String: String]?
        /// Code and message, once the job has failed.
        public let error: Reason?
        /// Link of each stem of a split, or of each output of an effect or of speech, once the job has succeeded.
        public let stems, outputs: [String: String]?
        /// Link of a mix.
        public let url: String?
        /// Of an analysis, see ``Song``.
        public let tempo: Song.Tempo?, key: Song.Key?, tuningCents: Double?, chords: [Song.Chord]?
        /// Of a split, some seconds after it has succeeded.
        public let analysis: Song?
    }

    public struct Reason: Decodable, Sendable { public let code, message: String }

    public init(from decoder: Decoder) throws {
        (fields, known) = (try [String: JSON](from: decoder), try Known(from: decoder))
    }

    /// Encodes the job as the server sent it.
    public func encode(to encoder: Encoder) throws { try fields.encode(to: encoder) }

    public subscript<Value>(dynamicMember property: KeyPath<Known, Value>) -> Value { known[keyPath: property] }

    var hasEnded: Bool { self.status == .succeeded || self.status == .failed }
}

/// What an analysis found. Times of beats and chords are in seconds.
public struct Song: Decodable, Sendable {
    public struct Tempo: Decodable, Sendable { public let bpm, confidence: Double, alternatives, beats: [Double] }

    public struct Key: Decodable, Sendable { public let name, camelot: String, compatible: [String]?, confidence: Double }

    /// Major or minor triad, such as `Am`.
    public struct Chord: Codable, Sendable { public let start, end: Double, name: String }

    public let tempo: Tempo?
    public let key: Key?
    public let tuningCents: Double?
    public let chords: [Chord]
}

/// Page of a list. `nextCursor` is nil on the last page.
public struct Page<Item: Decodable & Sendable>: Decodable, Sendable {
    public let items: [Item]
    public let nextCursor: String?
}

/// Balance of the account, in seconds of audio.
public struct Credits: Codable, Sendable { public let balance: Int, unit: String }

/// Model of the server.
public struct Model: Codable, Sendable {
    public let name, title, licence: String
    /// The factor is the seconds of processing per second of audio.
    public let stems: [String], ready: Bool, realtimeFactor: Double?
}

/// Voice of speech.
public struct Voice: Codable, Sendable { public let name, description: String }

/// Waveforms: for each stem base64 of signed bytes, the minimum and the maximum of each point in turn; 127 is full scale.
public struct Peaks: Codable, Sendable {
    public let sampleRate, samples, samplesPerPoint: Int
    public let stems: [String: String]
}

/// Small files of the stems. `sizes` are the bytes of the pieces of a file, each of `pieceSamples` samples.
public struct Previews: Codable, Sendable {
    public struct File: Codable, Sendable { public let url: String, sizes: [Int] }
    public let codec, mime: String?
    public let sampleRate, samples, pieceSamples, delay: Int?
    public let status: Status?
    public let stems: [String: File]?
}

/// Signing secret. Only a new one has a value.
public struct WebhookSecret: Codable, Sendable { public let id, prefix, createdAt, expiresAt, secret: String? }

/// Settings of a webhook endpoint. The event `*` means all; the status is `enabled` or `disabled`.
public struct WebhookSettings: Codable, Sendable {
    public var url, description, status: String?
    public var events: [String]?

    public init(url: String? = nil, events: [String]? = nil, description: String? = nil, status: String? = nil) {
        (self.url, self.events, self.description, self.status) = (url, events, description, status)
    }
}

/// Saved URL of webhooks. The secret is that of a new one only; `disabledReason` is set if the server disabled it.
public struct WebhookEndpoint: Codable, Sendable {
    public let id, url, description, status: String
    public let events: [String]
    public let secret, disabledReason, failingSince, createdAt, updatedAt: String?
}

/// Delivery of a webhook. The status is `pending`, `delivered`, `failed` or `gone`; `payload` is the body.
public struct Delivery: Codable, Sendable {
    public let id: String
    public let event, eventId, splitId, endpointId, url, status, lastError, nextAttemptAt, createdAt, payload: String?
    public let attempts, lastStatus: Int?
}
