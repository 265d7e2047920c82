import { ConnectionFailed, RateLimited, ServerError, WaitTimeout } from './errors.js';

const SILENCE_MS = 40000; // the server sends a comment every 15 seconds

/**
 * Return the split when it has ended: by server-sent events, and by polling where they fail. Lost connections and a
 * restart of the server do not end the wait.
 */
export async function wait({ http, getSplit, eventsUrl, headers, splitId, timeoutMs, intervalMs, onUpdate, signal }) {
  const now = () => performance.now(); // the wall clock may be set
  const deadline = now() + timeoutMs;
  let hasEvents = true;
  let last;
  const update = (split) => {
    const state = `${split.status} ${split.progress}`;
    if (state !== last) onUpdate?.(split);
    last = state;
    return split.status === 'succeeded' || split.status === 'failed' ? split : undefined;
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
          for await (const split of events(response.body, received)) {
            const found = update(split);
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
      const ended = update(await getSplit());
      if (ended) return ended;
    } catch (error) {
      const isRestarting = error instanceof ConnectionFailed || error instanceof ServerError || error instanceof RateLimited;
      if (!isRestarting) throw error;
    }
    const left = deadline - now();
    if (left <= 0) throw new WaitTimeout(`Timed out waiting for split ${splitId}.`);
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
      if (data && lines.some((line) => /^event: ?split$/.test(line))) yield JSON.parse(data);
    }
  }
}
