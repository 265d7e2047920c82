export interface StemSplitterOptions {
  /** `ast_live_…`; the environment variable `STEMSPLITTER_KEY` by default. */
  apiKey?: string;
  /** Address of the server, with or without `/v1`; `STEMSPLITTER_URL` by default. */
  baseUrl?: string;
  fetch?: typeof fetch;
  sleep?: (milliseconds: number) => Promise<void>;
  /** Time that a connection may be silent; 60 s by default. */
  timeoutMs?: number;
  /** Repetitions of a request after a lost connection, a response 429 or an error of the server; 4 by default. */
  maxRetries?: number;
  /** Size of the chunks of uploads, at least 65536; 8 MiB by default. */
  chunkBytes?: number;
  /** Called before each retry. */
  log?: (entry: { event: 'retry'; attempt: number; delayMs: number; error: StemSplitterError }) => void;
}

export interface CallOptions {
  /** Ends the call with the error `ABORTED`. */
  signal?: AbortSignal;
}

export interface Credits {
  balance: number;
  unit: 'seconds';
}

export interface AudioUpload {
  uploadId: string;
  uploadUrl: string;
  uploadHeaders: Record<string, string>;
  expiresAt: string;
}

export interface DirectUrlInput {
  type: 'direct_url';
  url: string;
}

export interface UploadedFileInput {
  type: 'uploaded_file';
  uploadId: string;
  fileUrl: string;
  storageKey: string;
}

export interface UploadedAudio {
  uploadId: string;
  fileUrl: string;
  storageKey: string;
  expiresAt: string;
  /** The input of `createSplit`. */
  input: UploadedFileInput;
}

export type AudioSplitInput = DirectUrlInput | UploadedFileInput;
export type SplitStatus = 'queued' | 'processing' | 'succeeded' | 'failed';

export interface CreateSplitRequest {
  input: AudioSplitInput;
  stemModel?: '2s' | '4s' | '6s' | (string & {});
  outputFormat?: 'mp3' | 'wav' | 'flac' | 'ogg' | 'm4a' | (string & {});
  bitDepth?: number | string;
  stems?: string[];
  instruments?: string[];
  quality?: 'fast' | 'balanced' | 'best';
  webhookUrl?: string;
  metadata?: Record<string, string>;
}

export interface CreatedSplit {
  id: string;
  status: SplitStatus;
  creditsUsed: number;
  createdAt: string;
}

export interface AudioSplit extends CreatedSplit {
  stemModel: string;
  filename: string;
  durationSeconds: number;
  updatedAt: string;
  /** Percent. */
  progress: number;
  outputFormat: string;
  expiresAt: string;
  creditsRefunded?: number;
  /** Link of each stem, once the split has succeeded. */
  stems?: Record<string, string>;
  error: null | { code: string; message: string };
  model?: { name: string; licence: string };
  processing?: null | { device: string; seconds: number; realtimeFactor: number };
  metadata?: Record<string, string>;
}

export interface Model {
  name: string;
  title: string;
  stems: string[];
  licence: string;
  ready: boolean;
}

export interface Delivery {
  id: string;
  event: string;
  eventId: string;
  splitId: string | null;
  url: string;
  status: 'pending' | 'delivered' | 'failed' | 'gone';
  attempts: number;
  lastStatus: number | null;
  lastError: string | null;
}

export interface WebhookEvent {
  event: 'audio.split.completed' | 'audio.split.failed' | 'webhook.test' | (string & {});
  data: AudioSplit | { id: string };
}

/** Called with the bytes sent and the size, after each chunk. */
export type OnProgress = (sent: number, size: number) => void;

/** Client of a Stem Splitter server. All promises reject with a `StemSplitterError`. */
export class StemSplitter {
  constructor(options?: StemSplitterOptions);
  readonly apiKey: string;
  readonly baseUrl: string;

  getCredits(options?: CallOptions): Promise<Credits>;
  /** The models of the server, the preferred one first. */
  listModels(options?: CallOptions): Promise<Model[]>;
  /** Reserve an upload; `uploadFile` and `uploadAudio` do it themselves. */
  createUpload(
    request: { filename: string; contentType: string; contentLength: number },
    options?: CallOptions,
  ): Promise<AudioUpload>;
  /** Upload data. A stream needs `contentLength`. */
  uploadAudio(request: CallOptions & {
    filename: string;
    contentType?: string;
    data: Blob | ArrayBuffer | Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>;
    contentLength?: number;
    onProgress?: OnProgress;
  }): Promise<UploadedAudio>;
  /** Upload a file in chunks; continues after a lost connection. */
  uploadFile(
    path: string,
    options?: CallOptions & { filename?: string; contentType?: string; onProgress?: OnProgress },
  ): Promise<UploadedAudio>;
  /** Create a split, once even if the request is repeated. The idempotency key is random by default. */
  createSplit(request: CreateSplitRequest, options?: CallOptions & { idempotencyKey?: string }): Promise<CreatedSplit>;
  getSplit(splitId: string, options?: CallOptions): Promise<AudioSplit>;
  /** A page of splits, newest first. */
  listSplits(
    options?: CallOptions & { limit?: number; cursor?: string; status?: SplitStatus },
  ): Promise<{ items: AudioSplit[]; nextCursor: string | null }>;
  /** All splits, newest first. */
  iterateSplits(options?: CallOptions & { status?: SplitStatus; pageSize?: number }): AsyncGenerator<AudioSplit>;
  /**
   * The split when it has succeeded or failed. Uses events, and polls where they are not available. `onUpdate` is called
   * with the split at first and when its status or progress changes.
   */
  waitForSplit(
    splitId: string,
    options?: CallOptions & { timeoutMs?: number; intervalMs?: number; onUpdate?: (split: AudioSplit) => void },
  ): Promise<AudioSplit>;
  /** Cancel a split. It fails with the code `CANCELED`, and its credits are refunded. */
  cancelSplit(splitId: string, options?: CallOptions): Promise<AudioSplit>;
  /** Delete an ended split with its files. */
  deleteSplit(splitId: string, options?: CallOptions): Promise<{ id: string; deleted: true }>;
  /** Download all stems into a folder: the path of each. The files appear together, when all are complete. */
  downloadStems(split: AudioSplit | string, folder: string, options?: CallOptions): Promise<Record<string, string>>;
  /** Download all stems in a ZIP archive. */
  downloadArchive(splitId: string, path: string, options?: CallOptions): Promise<string>;
  /** Create a signing secret. The previous one stays active for 24 hours. */
  rotateWebhookSecret(options?: CallOptions): Promise<string>;
  listWebhookSecrets(options?: CallOptions): Promise<Array<{ id: string; prefix: string; expiresAt: string | null }>>;
  /** Send a test event. */
  sendTestWebhook(url: string, options?: CallOptions): Promise<Delivery>;
  iterateDeliveries(options?: CallOptions & { status?: string; splitId?: string }): AsyncGenerator<Delivery>;
  getDelivery(deliveryId: string, options?: CallOptions): Promise<Delivery & { payload: string; log: unknown[] }>;
  /** Deliver an event again. */
  replayDelivery(deliveryId: string, options?: CallOptions): Promise<Delivery>;
}

/**
 * Verify a webhook and return its event. Throws `InvalidSignature`.
 *
 * `body` is the raw body. `headers` are those of the request, or the value of `AIStemSplitter-Signature`; the headers of
 * Standard Webhooks are verified too, if present. `tolerance` is the largest age in seconds, `now` the Unix time.
 */
export function verifyWebhook(
  body: Uint8Array | string,
  headers: Headers | Record<string, string | string[] | undefined> | string,
  secret: string,
  tolerance?: number,
  now?: number,
): WebhookEvent;

export const VERSION: string;

export class StemSplitterError extends Error {
  /** HTTP status; 0 if there was no response. */
  status: number;
  /**
   * Code of the API, such as `NOT_FOUND`; of the client, `CONFIG_ERROR`, `CONNECTION_ERROR`, `TIMEOUT`, `ABORTED`,
   * `DOWNLOAD_ERROR`, `UPLOAD_ERROR` or `INVALID_SIGNATURE`; `HTTP_ERROR` for a response that is not of the API.
   */
  code: string;
  /** The parsed response. */
  details: unknown;
  attempts: number;
  requestId?: string;
  docUrl?: string;
  param?: string;
  /** Seconds to wait. */
  retryAfter?: number;
}
export class ConfigError extends StemSplitterError {}
export class ConnectionFailed extends StemSplitterError {}
export class Aborted extends StemSplitterError {}
export class WaitTimeout extends StemSplitterError {}
export class DownloadError extends StemSplitterError {}
export class InvalidSignature extends StemSplitterError {}
export class AuthenticationError extends StemSplitterError {}
export class InsufficientCredits extends StemSplitterError {
  requiredSeconds?: number;
  balance?: number;
}
export class NotFound extends StemSplitterError {}
export class Conflict extends StemSplitterError {}
export class ValidationError extends StemSplitterError {}
export class RateLimited extends StemSplitterError {}
export class ServerError extends StemSplitterError {}

export { StemSplitter as AIStemSplitter, StemSplitterError as AIStemSplitterError };
