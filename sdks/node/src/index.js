import { randomUUID } from 'node:crypto';
import { basename } from 'node:path';
import { downloadFile, downloadFiles } from './downloads.js';
import { ConfigError, Conflict, DownloadError, NotFound, StemSplitterError } from './errors.js';
import { Http } from './http.js';
import { CHUNK_BYTES, contentTypeOf, sendFile, sourceOf, withFile } from './uploads.js';
import { wait } from './waiting.js';

export * from './errors.js';
export { VERSION } from './http.js';
export { verifyWebhook } from './webhooks.js';

/** Client of a Stem Splitter server; its methods and options are described in index.d.ts. */
export class StemSplitter {
  #http;
  #chunkBytes;

  constructor({ apiKey, baseUrl, fetch, sleep, timeoutMs = 60000, maxRetries = 4, chunkBytes = CHUNK_BYTES, log } = {}) {
    this.apiKey = apiKey || process.env.STEMSPLITTER_KEY;
    const address = (baseUrl || process.env.STEMSPLITTER_URL || '').replace(/\/+$/, '');
    if (!this.apiKey) throw new ConfigError('Missing API key: pass apiKey or set STEMSPLITTER_KEY.');
    if (!address) throw new ConfigError('Missing address of the server: pass baseUrl or set STEMSPLITTER_URL.');
    this.baseUrl = address.endsWith('/v1') ? address : `${address}/v1`;
    this.#chunkBytes = chunkBytes;
    this.#http = new Http({
      fetch: fetch ?? globalThis.fetch,
      sleep: sleep ?? ((ms) => new Promise((resolve) => { setTimeout(resolve, ms); })),
      timeoutMs, maxRetries, log,
    });
  }

  getCredits({ signal } = {}) {
    return this.#call('GET', '/credits', { signal });
  }

  async listModels({ signal } = {}) {
    return (await this.#call('GET', '/models', { signal })).items;
  }

  createUpload({ filename, contentType, contentLength }, { signal } = {}) {
    const body = { filename, contentType, contentLength };
    return this.#call('POST', '/audio/uploads', { body, signal, idempotencyKey: randomUUID() });
  }

  uploadAudio({ filename, contentType, data, contentLength, onProgress, signal }) {
    return this.#upload(sourceOf(data, contentLength), { filename, contentType, onProgress, signal });
  }

  uploadFile(path, { filename = basename(path), ...options } = {}) {
    return withFile(path, (source) => this.#upload(source, { filename, ...options }));
  }

  createSplit(request, { idempotencyKey = randomUUID(), signal } = {}) {
    return this.#call('POST', '/audio/splits', { body: request, signal, idempotencyKey });
  }

  getSplit(splitId, { signal } = {}) {
    return this.#call('GET', path(splitId), { signal });
  }

  listSplits({ limit = 20, cursor, status, signal } = {}) {
    return this.#call('GET', `/audio/splits${query({ limit, cursor, status })}`, { signal });
  }

  iterateSplits({ status, pageSize = 100, signal } = {}) {
    return pages((cursor) => this.listSplits({ limit: pageSize, cursor, status, signal }));
  }

  waitForSplit(splitId, { timeoutMs = 300000, intervalMs = 2000, onUpdate, signal } = {}) {
    return wait({
      http: this.#http,
      getSplit: () => this.getSplit(splitId, { signal }),
      eventsUrl: `${this.baseUrl}${path(splitId)}/events`,
      headers: { ...this.#headers(), accept: 'text/event-stream' },
      splitId, timeoutMs, intervalMs, onUpdate, signal,
    });
  }

  async cancelSplit(splitId, { signal } = {}) {
    try {
      return await this.#call('POST', `${path(splitId)}/cancel`, { signal });
    } catch (error) {
      if (error instanceof Conflict && error.attempts > 1) { // the first response was lost
        const split = await this.getSplit(splitId, { signal });
        if (split.error?.code === 'CANCELED') return split;
      }
      throw error;
    }
  }

  async deleteSplit(splitId, { signal } = {}) {
    try {
      return await this.#call('DELETE', path(splitId), { signal });
    } catch (error) {
      if (error instanceof NotFound && error.attempts > 1) return { id: splitId, deleted: true };
      throw error;
    }
  }

  async downloadStems(splitOrId, folder, { signal } = {}) {
    const split = typeof splitOrId === 'string' ? await this.getSplit(splitOrId, { signal }) : splitOrId;
    if (split.status !== 'succeeded') {
      throw new DownloadError(`Split ${split.id} has no stems: ${split.error?.message ?? `its status is ${split.status}`}`);
    }
    return downloadFiles(this.#http, split.stems, folder, signal);
  }

  downloadArchive(splitId, file, { signal } = {}) {
    return downloadFile(this.#http, `${this.baseUrl}${path(splitId)}/archive`, this.#headers(), file, signal);
  }

  async rotateWebhookSecret({ signal } = {}) {
    return (await this.#call('POST', '/webhooks/secrets/rotate', { signal, isRepeatable: false })).secret;
  }

  async listWebhookSecrets({ signal } = {}) {
    return (await this.#call('GET', '/webhooks/secrets', { signal })).items;
  }

  sendTestWebhook(url, { signal } = {}) {
    return this.#call('POST', '/webhooks/test', { body: { url }, signal, isRepeatable: false });
  }

  iterateDeliveries({ status, splitId, signal } = {}) {
    const list = (cursor) => `/webhooks/deliveries${query({ limit: 100, cursor, status, splitId })}`;
    return pages((cursor) => this.#call('GET', list(cursor), { signal }));
  }

  getDelivery(deliveryId, { signal } = {}) {
    return this.#call('GET', `/webhooks/deliveries/${encodeURIComponent(deliveryId)}`, { signal });
  }

  replayDelivery(deliveryId, { signal } = {}) {
    const replay = `/webhooks/deliveries/${encodeURIComponent(deliveryId)}/replay`;
    return this.#call('POST', replay, { signal, isRepeatable: false });
  }

  async #upload(source, { filename, contentType = contentTypeOf(filename), onProgress, signal }) {
    const reservation = await this.createUpload({ filename, contentType, contentLength: source.size }, { signal });
    const options = { chunkBytes: this.#chunkBytes, onProgress, signal };
    const { url, key } = await sendFile(this.#http, reservation, source, options);
    const found = { uploadId: reservation.uploadId, fileUrl: url, storageKey: key };
    return { ...found, expiresAt: reservation.expiresAt, input: { type: 'uploaded_file', ...found } };
  }

  #headers() {
    return { accept: 'application/json', authorization: `Bearer ${this.apiKey}` };
  }

  async #call(method, target, { body, idempotencyKey, ...options }) {
    const headers = this.#headers();
    if (idempotencyKey) headers['idempotency-key'] = idempotencyKey;
    if (body !== undefined) headers['content-type'] = 'application/json';
    const content = body === undefined ? undefined : JSON.stringify(body);
    const answer = await this.#http.request(method, `${this.baseUrl}${target}`, { ...options, headers, body: content });
    if (answer.data === undefined) {
      throw new StemSplitterError('The response is not of the API: check baseUrl.', 200, 'HTTP_ERROR', answer);
    }
    return answer.data;
  }
}

// the names of the package @aistemsplitter/sdk
export { StemSplitter as AIStemSplitter };
export { StemSplitterError as AIStemSplitterError } from './errors.js';

const path = (splitId) => `/audio/splits/${encodeURIComponent(splitId)}`;

function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null);
  return given.length ? `?${new URLSearchParams(given)}` : '';
}

async function* pages(getPage) {
  let cursor;
  do {
    const page = await getPage(cursor);
    yield* page.items;
    cursor = page.nextCursor;
  } while (cursor);
}
