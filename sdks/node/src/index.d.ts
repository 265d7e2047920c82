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
  /** Size of the chunks of uploads, at least 65536; 4 MiB by default. */
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
  /** How to send the file to the storage itself, if it takes it. */
  directUpload?: { method: 'PUT'; url: string; headers: Record<string, string>; fileUrl: string; storageKey: string };
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

export interface UploadedAudio extends Omit<UploadedFileInput, 'type'> {
  expiresAt: string;
  /** The input of `createSplit`. */
  input: UploadedFileInput;
}

export type LinkInput = { type: 'link'; url: string };

export type AudioSplitInput = DirectUrlInput | UploadedFileInput | LinkInput;

/** Also the song of a split, or one of its stems. */
export type ToolInput = AudioSplitInput | { type: 'split'; id: string; stem?: string };
export type SplitStatus = 'queued' | 'processing' | 'succeeded' | 'failed';

interface JobOptions {
  outputFormat?: 'mp3' | 'wav' | 'flac' | 'ogg' | 'm4a' | (string & {});
  webhookUrl?: string;
  metadata?: Record<string, string>;
}

export interface CreateSplitRequest extends JobOptions {
  input: AudioSplitInput;
  stemModel?: '2s' | '4s' | '6s' | (string & {});
  bitDepth?: number | string;
  stems?: string[];
  instruments?: string[];
  quality?: 'fast' | 'balanced' | 'best';
  /** A split of a low priority runs when no other job waits. */
  priority?: 'normal' | 'low';
}

export interface CreatedSplit {
  id: string;
  status: SplitStatus;
  creditsUsed: number;
  createdAt: string;
}

export type JobError = { code: string; message: string };

/** Job of any kind but mixes. */
export interface AudioJob extends CreatedSplit {
  filename: string;
  durationSeconds: number;
  updatedAt: string;
  /** Percent. */
  progress: number;
  expiresAt: string;
  creditsRefunded?: number;
  /** Present only if a test key created it. */
  test?: true;
  error: JobError | null;
  metadata?: Record<string, string>;
  /** Sentences about damage of the source; not of splits. */
  warnings?: string[];
}

export interface AudioSplit extends AudioJob {
  stemModel: string;
  priority?: 'low';
  outputFormat: string;
  /** Link of each stem, once the split has succeeded. */
  stems?: Record<string, string>;
  model?: { name: string; licence: string; quality?: string; vocalsFrom?: { name: string; licence: string } };
  processing?: null | { device: string; seconds: number; realtimeFactor: number };
  /** Probability of each instrument. */
  instruments?: Record<string, number>;
  /** Loudness in LUFS and true peak in dBTP of each stem, some seconds after the split has succeeded. */
  levels?: Record<string, { loudness: number | null; truePeak: number | null; silent: boolean }>;
  analysis?: SongAnalysis;
}

interface Format {
  format?: string;
  bitDepth?: number | string;
  bitrate?: number;
}

export interface CreateMixRequest extends Format {
  /** Decibels by stem; null leaves a stem out. */
  gains?: Record<string, number | null>;
  /** Positions by stem, from -1 (left) to 1 (right). */
  pan?: Record<string, number>;
}

export interface Mix extends Required<Pick<CreateMixRequest, 'gains' | 'pan' | 'format'>> {
  id: string;
  status: SplitStatus;
  filename: string;
  createdAt: string;
  expiresAt: string;
  url: string | null;
  size: number | null;
  /** Largest sample of the sum, and the factor that it was multiplied by. */
  peak: number | null;
  gain: number | null;
  error: JobError | null;
}

export interface CreateAnalysisRequest extends Omit<JobOptions, 'outputFormat'> {
  input: ToolInput;
}

export interface CreateEffectRequest extends JobOptions {
  input: ToolInput;
  effect: 'pitch' | 'speed' | 'nightcore' | 'daycore' | 'slowed_reverb' | 'voice_isolator' | (string & {});
  parameters?: Record<string, unknown>;
}

export interface CreateSpeechRequest extends JobOptions {
  text: string;
  voice?: string;
  speed?: number;
  pitch?: number;
}

interface FileJob extends AudioJob {
  outputFormat: string;
  /** Link of each file, once the job has succeeded. */
  outputs?: Record<string, string>;
}

export interface Effect extends FileJob, Required<Pick<CreateEffectRequest, 'effect' | 'parameters'>> {
  /** Whether the drums were transformed apart from the rest. */
  drumsApart: boolean;
}

export interface Speech extends FileJob, Required<Pick<CreateSpeechRequest, 'voice' | 'speed' | 'pitch'>> {
  characters: number;
}

export type KeyName = { name: string; camelot: string };

/** Null where there is none. Times of beats and chords are in seconds. */
export interface SongAnalysis {
  tempo: null | { bpm: number; confidence: number; alternatives: number[]; beats: number[] };
  key: null | (KeyName & { compatible: string[]; confidence: number; alternatives: KeyName[] });
  tuningCents: number | null;
  /** Major and minor triads, such as `Am`, in order. */
  chords: { start: number; end: number; name: string }[];
}

export type Analysis = AudioJob & SongAnalysis;

export interface Model {
  name: string;
  title: string;
  stems: string[];
  licence: string;
  licenceNote: string;
  source: Record<'url' | 'authors' | 'paper', string>;
  quality: Record<string, Record<string, number>>;
  ready: boolean;
  realtimeFactor: number | null;
}

type JobEvent = `audio.${'split' | 'analysis' | 'effect' | 'speech'}.${'completed' | 'failed'}`;

export interface WebhookEvent {
  event: JobEvent | 'webhook.test' | (string & {});
  data: AudioSplit | Analysis | Effect | Speech | { id: string };
}

export type WebhookSecret = { id: string; prefix: string; createdAt: string; expiresAt: string | null };

export interface CreateWebhookEndpointRequest {
  url: string;
  /** `*` means all. */
  events: (JobEvent | '*')[];
  description?: string;
}

export interface WebhookEndpoint extends Required<CreateWebhookEndpointRequest> {
  id: string;
  status: 'enabled' | 'disabled';
  /** Reason why the server disabled it. */
  disabledReason: string | null;
  failingSince: string | null;
  createdAt: string;
  updatedAt: string;
}

export type WebhookEndpointChanges = Partial<CreateWebhookEndpointRequest & Pick<WebhookEndpoint, 'status'>>;

export interface Delivery {
  id: string;
  event: string;
  eventId: string;
  splitId: string | null;
  endpointId: string | null;
  url: string;
  status: 'pending' | 'delivered' | 'failed' | 'gone';
  attempts: number;
  lastStatus: number | null;
  lastError: string | null;
  nextAttemptAt: string | null;
  createdAt: string;
  updatedAt: string;
  /** The body and the attempts, of `deliveries.get`. */
  payload?: string;
  log?: DeliveryAttempt[];
}

export interface DeliveryAttempt {
  at: string;
  statusCode: number | null;
  error: string | null;
  durationMs: number;
  responseExcerpt: string | null;
}

/** Base64 of signed bytes for each stem: the minimum and the maximum of each point in turn, 127 being full scale. */
export type Peaks = { sampleRate: number; samples: number; samplesPerPoint: number; stems: Record<string, string> };

/** `sizes` are the bytes of the pieces of a file, each of `pieceSamples` samples. */
export type Previews = { codec: string; mime: string; sampleRate: number; samples: number; pieceSamples: number }
  & { delay: number; status?: SplitStatus; stems?: Record<string, { url: string; sizes: number[] }> };

export interface UploadOptions extends CallOptions {
  filename?: string;
  contentType?: string;
  /** Called with the bytes sent and the size, after each chunk. */
  onProgress?: (sent: number, size: number) => void;
}

export type AudioData = Blob | ArrayBuffer | Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>;

export interface WaitOptions<Job> extends CallOptions {
  /** 5 minutes by default. */
  timeoutMs?: number;
  /** Time between polls. */
  intervalMs?: number;
  /** Called with the job at first and when its status or progress changes. */
  onUpdate?: (job: Job) => void;
}

export interface FormatOptions extends CallOptions, Format {
  /** Time until the server has made the file; 5 minutes by default. */
  timeoutMs?: number;
}

/** Objects of one kind. */
export class Collection<Item> {
  get(id: string, options?: CallOptions): Promise<Item>;
  /** A page, newest first. */
  list(options?: Filter & { limit?: number; cursor?: string }): Promise<{ items: Item[]; nextCursor: string | null }>;
  /** All, newest first. */
  iterate(options?: Filter): AsyncGenerator<Item>;
}

/** The ids are those of deliveries. */
export type Filter = CallOptions & { status?: string; splitId?: string; endpointId?: string };

/** Jobs of one kind. Mixes can be neither canceled nor deleted: they end with their split. */
export class Jobs<Request, Job> extends Collection<Job> {
  /** Create a job, once even if the request is repeated. The idempotency key is random by default. */
  create(request: Request, options?: CallOptions & { idempotencyKey?: string }): Promise<Job>;
  /** The job when it has succeeded or failed. Uses events, and polls where they are not available. */
  wait(id: string, options?: WaitOptions<Job>): Promise<Job>;
  /** Cancel a job. It fails with the code `CANCELED`, and its credits are refunded. */
  cancel(id: string, options?: CallOptions): Promise<Job>;
  /** Delete an ended job with its files. */
  delete(id: string, options?: CallOptions): Promise<{ id: string; deleted: true }>;
  /** Download all files of a job into a folder: the path of each. They appear together, when all are complete. */
  download(job: Job | string, folder: string, options?: CallOptions): Promise<Record<string, string>>;
}

/** Saved URLs, which get the webhooks of all jobs. The server disables those that fail for days. */
export class WebhookEndpoints {
  /** Save an endpoint. Its signing secret is in this response only. */
  create(request: CreateWebhookEndpointRequest, options?: CallOptions): Promise<WebhookEndpoint & { secret: string }>;
  get(id: string, options?: CallOptions): Promise<WebhookEndpoint>;
  /** All, newest first. */
  list(options?: CallOptions): Promise<WebhookEndpoint[]>;
  /** Change an endpoint. What is left out stays as it is. */
  update(id: string, changes: WebhookEndpointChanges, options?: CallOptions): Promise<WebhookEndpoint>;
  /** Delete an endpoint. Its pending deliveries end as failed. */
  delete(id: string, options?: CallOptions): Promise<{ id: string; deleted: true }>;
  /** Create a signing secret of the endpoint. The previous one stays active for 24 hours. */
  rotateSecret(id: string, options?: CallOptions): Promise<string>;
  /** Send a test event to the endpoint. */
  sendTest(id: string, options?: CallOptions): Promise<Delivery>;
}

/** Client of a Stem Splitter server. All promises reject with a `StemSplitterError`. */
export class StemSplitter {
  constructor(options?: StemSplitterOptions);
  readonly apiKey: string;
  readonly baseUrl: string;
  readonly splits: Jobs<CreateSplitRequest, AudioSplit>;
  readonly analyses: Jobs<CreateAnalysisRequest, Analysis>;
  readonly effects: Jobs<CreateEffectRequest, Effect>;
  readonly speech: Jobs<CreateSpeechRequest, Speech>;
  readonly webhookEndpoints: WebhookEndpoints;
  readonly deliveries: Collection<Delivery>;
  /** The mixes of a split. */
  mixes(splitId: string): Jobs<CreateMixRequest, Mix>;

  getCredits(options?: CallOptions): Promise<Credits>;
  /** The models of the server, the preferred one first. */
  listModels(options?: CallOptions): Promise<Model[]>;
  /** The voices of speech. */
  listVoices(options?: CallOptions): Promise<Array<{ name: string; description: string }>>;
  /** Reserve an upload; `uploadFile` and `uploadAudio` do it themselves. */
  createUpload(
    request: { filename: string; contentType: string; contentLength: number },
    options?: CallOptions,
  ): Promise<AudioUpload>;
  /** Upload data. A stream needs `contentLength`. */
  uploadAudio(
    request: UploadOptions & { filename: string; data: AudioData; contentLength?: number },
  ): Promise<UploadedAudio>;
  /** Upload a file in chunks; continues after a lost connection. */
  uploadFile(path: string, options?: UploadOptions): Promise<UploadedAudio>;
  /** `splits.create` */
  createSplit(request: CreateSplitRequest, options?: CallOptions & { idempotencyKey?: string }): Promise<CreatedSplit>;
  /** `splits.get` */
  getSplit(splitId: string, options?: CallOptions): Promise<AudioSplit>;
  /** `splits.wait` */
  waitForSplit(splitId: string, options?: WaitOptions<AudioSplit>): Promise<AudioSplit>;
  /**
   * Download a stem, or `no_` and its name for the song without it, in any format. The file appears when it is complete.
   */
  downloadStem(splitId: string, name: string, path: string, options?: FormatOptions): Promise<string>;
  /** Download all stems in a ZIP archive, or with the format `stem.mp4` in one Native Instruments Stem file. */
  downloadArchive(splitId: string, path: string, options?: FormatOptions): Promise<string>;
  /** Download the cover of the song, a small JPEG; `NotFound` if it has none. */
  downloadCover(splitId: string, path: string, options?: CallOptions): Promise<string>;
  /** Return the peaks of the stems, to draw waveforms. */
  getPeaks(splitId: string, options?: CallOptions & { resolution?: 'overview' | 'full' }): Promise<Peaks>;
  /** Return links to small files of the stems for a player. There is `status` and no `stems` while the server makes them. */
  getPreviews(splitId: string, options?: CallOptions & { codec?: 'opus' | 'aac' }): Promise<Previews>;
  /** Create a signing secret for URLs that are part of requests. The previous one stays active for 24 hours. */
  rotateWebhookSecret(options?: CallOptions): Promise<string>;
  listWebhookSecrets(options?: CallOptions): Promise<WebhookSecret[]>;
  /** Send a test event. */
  sendTestWebhook(url: string, options?: CallOptions): Promise<Delivery>;
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
  /** Credits that the song needs and the account has, of `InsufficientCredits`. */
  requiredSeconds?: number;
  balance?: number;
}
export class ConfigError extends StemSplitterError {}
export class ConnectionFailed extends StemSplitterError {}
export class Aborted extends StemSplitterError {}
export class WaitTimeout extends StemSplitterError {}
export class DownloadError extends StemSplitterError {}
export class UploadError extends StemSplitterError {}
export class InvalidSignature extends StemSplitterError {}
export class AuthenticationError extends StemSplitterError {}
export class InsufficientCredits extends StemSplitterError {}
export class NotFound extends StemSplitterError {}
export class Conflict extends StemSplitterError {}
export class ValidationError extends StemSplitterError {}
export class RateLimited extends StemSplitterError {}
export class ServerError extends StemSplitterError {}

export { StemSplitter as AIStemSplitter, StemSplitterError as AIStemSplitterError };
