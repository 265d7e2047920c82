import http from 'node:http';
import https from 'node:https';
import { Aborted, ConnectionFailed, errorOf, StemSplitterError } from './errors.js';

export const VERSION = '0.1.0';
const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 8000;
const MAX_RETRY_AFTER_S = 120;
const SLOWEST_BYTES_PER_MS = 16;
export const RETRIED = new Set([408, 429, 500, 502, 503, 504]);

const LOCAL = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EACCES']); // errors of files

/** Sends requests, and repeats those that can be repeated. */
export class Http {
  constructor({ fetch, sleep, timeoutMs, maxRetries, log }) {
    Object.assign(this, { fetch, wait: sleep, timeoutMs, maxRetries, log });
  }

  /**
   * Send a request once. `use` receives the response and a function to call after each part of its body; the request
   * is aborted if nothing is received for a time.
   */
  async send(method, url, { headers, body, signal, timeoutMs = this.timeoutMs }, use) {
    check(signal);
    const controller = new AbortController();
    const abort = () => controller.abort(signal.reason);
    signal?.addEventListener('abort', abort, { once: true });
    const silence = () => controller.abort(new Error(`nothing was received for ${timeoutMs} ms`));
    // a slow connection may take longer to send the body
    let timer = setTimeout(silence, timeoutMs + (Number(headers['content-length'] ?? body?.length) || 0) / SLOWEST_BYTES_PER_MS);
    const received = () => {
      clearTimeout(timer);
      timer = setTimeout(silence, timeoutMs);
    };
    try {
      const all = { 'user-agent': `stemsplitter-node/${VERSION}`, ...headers };
      const send = ArrayBuffer.isView(body) && this.fetch === globalThis.fetch ? sendBytes : this.fetch;
      const response = await send(url, { method, headers: all, body, signal: controller.signal, redirect: 'manual' });
      received();
      return await use(response, received);
    } catch (error) {
      check(signal);
      if (error instanceof StemSplitterError || LOCAL.has(error.code)) throw error;
      throw new ConnectionFailed(`${method} ${url} failed: ${error.cause?.message ?? error.message}.`, error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  /**
   * Send a request until it succeeds. Responses 429 are always repeated; lost connections and errors of the server
   * only if it is repeatable.
   */
  async request(method, url, { isRepeatable = true, read = json, headers, ...options }) {
    for (let attempt = 1; ; attempt += 1) {
      let isTemporary = isRepeatable;
      try {
        return await this.send(method, url, { ...options, headers: headers() }, async (response, received) => {
          if (response.status < 400) return await read(response, received);
          // 409: the server is doing it for the same idempotency key
          const { status } = response;
          isTemporary = status === 429 || (status === 409 && response.headers.has('retry-after'))
            || (isRepeatable && RETRIED.has(status));
          throw await failure(response);
        });
      } catch (error) {
        error.attempts = attempt;
        const isTooLong = (error.retryAfter ?? 0) > MAX_RETRY_AFTER_S;
        if (error instanceof Aborted || !isTemporary || isTooLong || attempt > this.maxRetries) throw error;
        await this.pause(attempt, error, options.signal);
      }
    }
  }

  /** Wait before the next attempt, as long as the server asks for, else exponentially longer with jitter. */
  async pause(attempt, error, signal) {
    const delay = Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), MAX_DELAY_MS) * (0.5 + Math.random() / 2);
    const ms = error.retryAfter === undefined ? delay : error.retryAfter * 1000;
    this.log?.({ event: 'retry', attempt, delayMs: ms, error });
    await this.sleep(ms, signal);
  }

  async sleep(ms, signal) {
    check(signal);
    let abort;
    const aborted = new Promise((resolve) => { abort = resolve; });
    signal?.addEventListener('abort', abort, { once: true });
    await Promise.race([this.wait(ms), aborted]).finally(() => signal?.removeEventListener('abort', abort));
    check(signal);
  }
}

function check(signal) {
  if (signal?.aborted) throw new Aborted('The call was aborted.', signal.reason);
}

/** Send bytes, like fetch, which would copy them: copies occupy memory until a garbage collection. */
function sendBytes(url, { method, headers, body, signal }) {
  return new Promise((resolve, reject) => {
    const request = (url.startsWith('https:') ? https : http).request(url, { method, headers, signal }, async (response) => {
      try {
        const parts = await response.toArray();
        const content = response.statusCode === 204 ? null : Buffer.concat(parts);
        const pairs = Object.entries(response.headersDistinct).map(([name, values]) => [name, values.join(', ')]);
        resolve(new Response(content, { status: response.statusCode, headers: pairs }));
      } catch (error) {
        reject(error);
      }
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** Return the parsed body; empty if it is not JSON, as of a proxy. */
export async function json(response) {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** Return the error of a response. */
export async function failure(response) {
  return errorOf(response.status, await json(response), retryAfterOf(response));
}

/** Return the seconds of the header Retry-After. */
export function retryAfterOf(response) {
  const value = response.headers.get('retry-after') ?? '';
  return /^\d+$/.test(value) ? Number(value) : undefined;
}
