import { ConnectionFailed, RateLimited, ServerError, WaitTimeout } from './errors.js';

const SILENCE_MS = 40000; // the server sends a comment every 15 seconds

/**
 * Return the job when it has ended: by server-sent events, and by polling where they fail. Lost connections and a
 * restart of the server do not end the wait.
 */
export async function wait({ http, get, eventsUrl, headers, id, timeoutMs, intervalMs, onUpdate, signal }) {
  const now = () => performance.now(); // the wall clock may be set
  const deadline = now() + timeoutMs;
  let hasEvents = eventsUrl !== undefined;
  let last;
  const update = (job) => {
    const state = `${job.status} ${job.progress}`;
    if (state !== last) onUpdate?.(job);
    last = state;
    return job.status === 'succeeded' || job.status === 'failed' ? job : undefined;
  };
  for (;;) {
    if (hasEvents && deadline > now()) {
      const options = { headers, signal, timeoutMs: Math.max(100, Math.min(SILENCE_MS, deadline - now())) };
      try {
        const ended = await http.send('GET', eventsUrl, options, async (response, received) => {
          if (!response.headers.get('content-type')?.includes('text/event-stream')) {
            await response.text();
            hasEvents = response.status === 401 || response.status === 429 || response.status >= 500;
            return undefined;
          }
          for await (const job of events(response.body, received)) {
            const found = update(job);
            if (found || now() >= deadline) return found;
          }
          return undefined;
        });
        if (ended) return ended;
      } catch (error) {
        if (!(error instanceof ConnectionFailed)) throw error;
      }
    }
    try {
      const ended = update(await get());
      if (ended) return ended;
    } catch (error) {
      const isRestarting = error instanceof ConnectionFailed || error instanceof ServerError || error instanceof RateLimited;
      if (!isRestarting) throw error;
    }
    const left = deadline - now();
    if (left <= 0) throw new WaitTimeout(`Timed out waiting for ${id}.`);
    await http.sleep(Math.min(intervalMs, left), signal);
  }
}

async function* events(body, received) {
  const decoder = new TextDecoder();
  let text = '';
  for await (const part of body) {
    received();
    text += decoder.decode(part, { stream: true }).replaceAll('\r', '');
    const blocks = text.split('\n\n');
    text = blocks.pop();
    for (const block of blocks) {
      const lines = block.split('\n');
      const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(5)).join('\n');
      if (data) yield JSON.parse(data);
    }
  }
}
