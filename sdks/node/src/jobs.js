import { randomUUID } from 'node:crypto';
import { downloadFiles } from './downloads.js';
import { Conflict, DownloadError, NotFound } from './errors.js';
import { wait } from './waiting.js';

/** Objects of one kind; see index.d.ts. */
class Objects {
  constructor(api, path, options) { Object.assign(this, { api, path, ...options }); }

  get(id, options) { return this.api.call('GET', this.at(id), options); }

  at(id) { return `${this.path}/${encodeURIComponent(id)}`; }

  async delete(id, options) {
    try {
      return await this.api.call('DELETE', this.at(id), options);
    } catch (error) {
      if (error instanceof NotFound && error.attempts > 1) return { id, deleted: true }; // the first response was lost
      throw error;
    }
  }
}

/** Objects that are listed in pages. */
export class Collection extends Objects {
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
}

/** Jobs of one kind; see index.d.ts. */
export class Jobs extends Collection {
  create(request, { idempotencyKey = randomUUID(), signal } = {}) {
    return this.api.call('POST', this.path, { body: request, signal, idempotencyKey });
  }

  wait(id, { timeoutMs = 300000, intervalMs = 2000, onUpdate, signal } = {}) {
    const eventsUrl = this.isPolled ? undefined : this.api.url(`${this.at(id)}/events`);
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

  async download(jobOrId, folder, { signal } = {}) {
    const job = typeof jobOrId === 'string' ? await this.get(jobOrId, { signal }) : jobOrId;
    const links = job.stems ?? job.outputs ?? (job.url ? { mix: job.url } : undefined);
    if (job.status !== 'succeeded' || !links) {
      throw new DownloadError(`${job.id} has no files: ${job.error?.message ?? `its status is ${job.status}`}`);
    }
    return downloadFiles(this.api.http, links, folder, signal);
  }
}

/** Saved URLs of webhooks; see index.d.ts. */
export class WebhookEndpoints extends Objects {
  create(request, options) { return this.api.call('POST', this.path, { ...options, body: request, isRepeatable: false }); }

  list(options) { return this.api.items(this.path, options); }

  update(id, changes, options) { return this.api.call('POST', this.at(id), { ...options, body: changes }); }

  rotateSecret(id, options) { return this.api.rotate(`${this.at(id)}/rotate`, options); }

  sendTest(id, options) { return this.api.call('POST', `${this.at(id)}/test`, { ...options, isRepeatable: false }); }
}
