import { randomUUID } from 'node:crypto';
import { downloadFiles } from './downloads.js';
import { Conflict, DownloadError, NotFound } from './errors.js';
import { wait } from './waiting.js';

/** Objects of one kind; see index.d.ts. */
export class Collection {
  constructor(api, path) {
    Object.assign(this, { api, path });
  }

  get(id, { signal } = {}) {
    return this.api.call('GET', this.at(id), { signal });
  }

  list({ limit = 20, signal, ...filters } = {}) {
    return this.api.call('GET', this.path, { query: { limit, ...filters }, signal });
  }

  async* iterate({ signal, ...filters } = {}) {
    let cursor;
    do {
      const page = await this.list({ limit: 100, cursor, ...filters, signal });
      yield* page.items;
      cursor = page.nextCursor;
    } while (cursor);
  }

  at(id) {
    return `${this.path}/${encodeURIComponent(id)}`;
  }
}

/** Jobs of one kind; see index.d.ts. */
export class Jobs extends Collection {
  constructor(api, path, { hasEvents = true } = {}) {
    super(api, path);
    this.hasEvents = hasEvents;
  }

  create(request, { idempotencyKey = randomUUID(), signal } = {}) {
    return this.api.call('POST', this.path, { body: request, signal, idempotencyKey });
  }

  wait(id, { timeoutMs = 300000, intervalMs = 2000, onUpdate, signal } = {}) {
    const eventsUrl = this.hasEvents ? this.api.url(`${this.at(id)}/events`) : undefined;
    const headers = { ...this.api.headers(), accept: 'text/event-stream' };
    const get = () => this.get(id, { signal });
    return wait({ http: this.api.http, get, eventsUrl, headers, id, timeoutMs, intervalMs, onUpdate, signal });
  }

  async cancel(id, { signal } = {}) {
    try {
      return await this.api.call('POST', `${this.at(id)}/cancel`, { signal });
    } catch (error) {
      if (error instanceof Conflict && error.attempts > 1) { // the first response was lost
        const job = await this.get(id, { signal });
        if (job.error?.code === 'CANCELED') return job;
      }
      throw error;
    }
  }

  async delete(id, { signal } = {}) {
    try {
      return await this.api.call('DELETE', this.at(id), { signal });
    } catch (error) {
      if (error instanceof NotFound && error.attempts > 1) return { id, deleted: true };
      throw error;
    }
  }

  async download(jobOrId, folder, { signal } = {}) {
    const job = typeof jobOrId === 'string' ? await this.get(jobOrId, { signal }) : jobOrId;
    const links = job.stems ?? job.outputs ?? (job.url ? { mix: job.url } : undefined);
    if (job.status !== 'succeeded' || !links) {
      throw new DownloadError(`${job.id} has no files: ${job.error?.message ?? `its status is ${job.status}`}`);
    }
    return downloadFiles(this.api.http, links, folder, signal);
  }
}
