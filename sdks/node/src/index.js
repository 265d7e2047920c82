import { randomUUID } from 'node:crypto';
import { basename } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { downloadFile } from './downloads.js';
import { ConfigError, StemSplitterError } from './errors.js';
import { Http } from './http.js';
import { Collection, Jobs, WebhookEndpoints } from './jobs.js';
import { CHUNK_BYTES, contentTypeOf, sendFile, sourceOf, withFile } from './uploads.js';

export * from './errors.js';
export { VERSION } from './http.js';
export { verifyWebhook } from './webhooks.js';

/** Client of a Stem Splitter server; its methods and options are described in index.d.ts. */
export class StemSplitter {
  #chunkBytes;

  constructor({
    apiKey, baseUrl, fetch = globalThis.fetch, sleep = pause, timeoutMs = 60000, maxRetries = 4, chunkBytes = CHUNK_BYTES, log,
  } = {}) {
    this.apiKey = apiKey || process.env.STEMSPLITTER_KEY;
    const address = (baseUrl || process.env.STEMSPLITTER_URL || '').replace(/\/+$/, '');
    if (!this.apiKey) throw new ConfigError('Missing API key: pass apiKey or set STEMSPLITTER_KEY.');
    if (!address) throw new ConfigError('Missing address of the server: pass baseUrl or set STEMSPLITTER_URL.');
    this.baseUrl = address.endsWith('/v1') ? address : `${address}/v1`;
    this.#chunkBytes = chunkBytes;
    this.http = new Http({ fetch, sleep, timeoutMs, maxRetries, log });
    for (const kind of ['splits', 'analyses', 'effects', 'speech']) this[kind] = new Jobs(this, `/audio/${kind}`);
    this.webhookEndpoints = new WebhookEndpoints(this, '/webhook_endpoints');
    this.deliveries = new Collection(this, '/webhooks/deliveries');
  }

  mixes(splitId) { return new Jobs(this, `${this.splits.at(splitId)}/mixes`, { isPolled: true }); }

  getCredits(options) { return this.call('GET', '/credits', options); }

  listModels(options) { return this.items('/models', options); }

  listVoices(options) { return this.items('/voices', options); }

  createUpload(body, options) {
    return this.call('POST', '/audio/uploads', { ...options, body, idempotencyKey: randomUUID() });
  }

  uploadAudio({ filename, contentType, data, contentLength, onProgress, signal }) {
    return this.#upload(sourceOf(data, contentLength), { filename, contentType, onProgress, signal });
  }

  uploadFile(path, { filename = basename(path), ...options } = {}) {
    return withFile(path, (source) => this.#upload(source, { filename, ...options }));
  }

  createSplit(request, options) { return this.splits.create(request, options); }

  getSplit(splitId, options) { return this.splits.get(splitId, options); }

  waitForSplit(splitId, options) { return this.splits.wait(splitId, options); }

  downloadStem(splitId, name, file, options) {
    return this.#download(splitId, `stems/${encodeURIComponent(name)}`, file, options);
  }

  downloadArchive(splitId, file, options) { return this.#download(splitId, 'archive', file, options); }

  downloadCover(splitId, file, options) { return this.#download(splitId, 'cover', file, options); }

  getPeaks(splitId, { resolution, signal } = {}) {
    return this.call('GET', `${this.splits.at(splitId)}/peaks`, { query: { resolution }, signal });
  }

  getPreviews(splitId, { codec, signal } = {}) {
    return this.call('GET', `${this.splits.at(splitId)}/previews`, { query: { codec }, signal });
  }

  rotateWebhookSecret(options) { return this.rotate('/webhooks/secrets/rotate', options); }

  listWebhookSecrets(options) { return this.items('/webhooks/secrets', options); }

  sendTestWebhook(url, options) {
    return this.call('POST', '/webhooks/test', { ...options, body: { url }, isRepeatable: false });
  }

  replayDelivery(deliveryId, options) {
    return this.call('POST', `${this.deliveries.at(deliveryId)}/replay`, { ...options, isRepeatable: false });
  }

  async items(path, options) { return (await this.call('GET', path, options)).items; }

  async rotate(path, options) { return (await this.call('POST', path, { ...options, isRepeatable: false })).secret; }

  /** Send a request to a path of the API; returns `data` of the response. */
  async call(method, path, { query, body, idempotencyKey, ...options } = {}) {
    const headers = this.headers();
    if (idempotencyKey) headers['idempotency-key'] = idempotencyKey;
    if (body !== undefined) headers['content-type'] = 'application/json';
    const content = body === undefined ? undefined : JSON.stringify(body);
    const answer = await this.http.request(method, this.url(path, query), { ...options, headers: () => headers, body: content });
    if (answer.data === undefined) {
      throw new StemSplitterError('The response is not of the API: check baseUrl.', 200, 'HTTP_ERROR', answer);
    }
    return answer.data;
  }

  url(path, query = {}) {
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
    return `${this.baseUrl}${path}${given.length ? `?${new URLSearchParams(given)}` : ''}`;
  }

  headers() { return { accept: 'application/json', authorization: `Bearer ${this.apiKey}` }; }

  #download(splitId, what, file, { format, bitDepth, bitrate, timeoutMs = 300000, signal } = {}) {
    const url = this.url(`${this.splits.at(splitId)}/${what}`, { format, bitDepth, bitrate });
    return downloadFile(this.http, url, this.headers(), file, { timeoutMs, signal });
  }

  async #upload(source, { filename, contentType = contentTypeOf(filename), onProgress, signal }) {
    const reservation = await this.createUpload({ filename, contentType, contentLength: source.size }, { signal });
    const options = { chunkBytes: this.#chunkBytes, onProgress, signal };
    const { url, key } = await sendFile(this.http, reservation, source, options);
    const found = { uploadId: reservation.uploadId, fileUrl: url, storageKey: key };
    return { ...found, expiresAt: reservation.expiresAt, input: { type: 'uploaded_file', ...found } };
  }
}

// the names of the package @aistemsplitter/sdk
export { StemSplitter as AIStemSplitter };
export { StemSplitterError as AIStemSplitterError } from './errors.js';
