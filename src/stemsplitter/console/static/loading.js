// Loads what players need. A request that fails in a way that may pass is sent again, with growing pauses, and one
// during which the server sends nothing is ended first.
import { _ } from "./texts.js";

const TRIES = 6;
const [FIRST_PAUSE, LONGEST_PAUSE] = [0.5, 10]; // seconds between two tries
const SILENCE = 10; // seconds without a byte after which a request is ended
const PASSING = [408, 425, 429, 500, 502, 503, 504];

/**
 * Something that cannot be loaded. `isPassing`: the same request may succeed later; `isPending`: it is being made;
 * `isMissing`: it does not exist. `retry` is the number of seconds that the server asks to wait.
 */
export class LoadError extends Error {
  constructor(message, { isPassing = false, isPending = false, isMissing = false, retry = null } = {}) {
    super(message);
    Object.assign(this, { isPassing, isPending, isMissing, retry });
  }
}

export const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

/** The result of a promise. Rejects with `error` if it does not settle in time. */
export function within(seconds, promise, error) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(error), 1000 * seconds)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The status and the whole body of a response. Rejects with a LoadError once trying again is of no use. */
export async function load(url, { headers = {}, signal = null } = {}) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await loadOnce(url, headers, signal);
    } catch (error) {
      if (signal?.aborted || !error.isPassing || tries === TRIES) throw error;
      await pause(Math.min(Math.max(error.retry, FIRST_PAUSE * 2 ** (tries - 1)), LONGEST_PAUSE));
    }
  }
}

export async function loadJson(url) {
  const { data } = await load(url);
  return JSON.parse(new TextDecoder().decode(data));
}

async function loadOnce(url, headers, signal) {
  const stop = new AbortController();
  const end = () => stop.abort();
  signal?.addEventListener("abort", end);
  let timer;
  const expectMore = () => {
    clearTimeout(timer);
    timer = setTimeout(end, 1000 * SILENCE);
  };
  try {
    signal?.throwIfAborted();
    expectMore();
    const answer = await fetch(url, { headers, signal: stop.signal });
    check(answer);
    return { status: answer.status, data: await body(answer, expectMore) };
  } catch (error) {
    if (error instanceof LoadError || signal?.aborted) throw error;
    throw new LoadError(_("The server cannot be reached. Check your connection and press Play again."), { isPassing: true });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
  }
}

async function body(answer, expectMore) {
  const parts = [];
  const reader = answer.body.getReader();
  for (;;) {
    expectMore();
    const { done, value } = await reader.read();
    if (done) return new Blob(parts).arrayBuffer();
    parts.push(value);
  }
}

/** Throw an error that says what is wrong and what to do. */
function check(answer) {
  const { status } = answer;
  const retry = Number(answer.headers.get("Retry-After"));
  if (status === 202) throw new LoadError(_("The previews are being made. Try again in a moment."), { isPending: true, retry: retry || 1 });
  if (status === 204) throw new LoadError(_("There are no previews."), { isMissing: true });
  if (status === 401) throw new LoadError(_("You are signed out. Sign in again."));
  if ([404, 410].includes(status)) throw new LoadError(_("The stems were deleted or have expired."), { isMissing: true });
  if (!answer.ok) throw new LoadError(_("The server answered with an error ({status}). Press Play again.", { status }), { isPassing: PASSING.includes(status), retry });
}
