// Loading for players: what may pass is tried again, what is final is told, and nothing waits forever.
import assert from "node:assert/strict";
import { test } from "node:test";

const { LoadError, load, within } = await import(`${process.env.STATIC}/loading.js`);

/** Answer the requests in turn; the last answer repeats. Timers run out at once. */
function serve(t, ...answers) {
  const real = { setTimeout, fetch };
  t.after(() => Object.assign(globalThis, real));
  const asked = { requests: 0, pauses: [] };
  globalThis.setTimeout = (run, milliseconds) => {
    asked.pauses.push(milliseconds / 1000);
    return real.setTimeout(run, milliseconds / 1000);
  };
  globalThis.fetch = async (url, { signal }) => {
    const answer = answers[Math.min(asked.requests, answers.length - 1)];
    asked.requests += 1;
    return answer(signal);
  };
  return asked;
}

const answered = (status, headers = {}) => () => new Response(null, { status, headers });
const fails = () => { throw new TypeError("network"); };
const bytes = () => new Response(Uint8Array.of(1, 2, 3));
const whenAborted = (signal, then) => signal.addEventListener("abort", () => then(signal.reason));
const stalls = (signal) => new Promise((_, reject) => whenAborted(signal, reject));
const stallsInBody = (signal) => new Response(new ReadableStream({
  start(body) {
    body.enqueue(Uint8Array.of(1));
    whenAborted(signal, (reason) => body.error(reason));
  },
}));
const breaks = () => new Response(new ReadableStream({ start: (body) => body.error(new TypeError("network")) }));

for (const [what, answer] of Object.entries({
  "no connection": fails,
  "an error of the server": answered(503),
  "a rate limit": answered(429, { "Retry-After": "2" }),
  "no answer": stalls,
  "a body that stalls": stallsInBody,
  "a body that breaks off": breaks,
})) {
  test(`${what} passes`, async (t) => {
    const asked = serve(t, answer, answer, bytes);
    const { status, data } = await load("/x");
    assert.deepEqual([status, [...new Uint8Array(data)], asked.requests], [200, [1, 2, 3], 3]);
  });
}

test("tries are bounded, with growing pauses", async (t) => {
  const asked = serve(t, fails);
  await assert.rejects(load("/x"), (error) => error instanceof LoadError && /cannot be reached/.test(error.message));
  assert.equal(asked.requests, 6);
  assert.deepEqual(asked.pauses.filter((seconds) => seconds !== 10), [0.5, 1, 2, 4, 8]); // 10 until silence is ended
});

test("the server's Retry-After is respected within bounds", async (t) => {
  const asked = serve(t, answered(503, { "Retry-After": "3" }), answered(503, { "Retry-After": "600" }), bytes);
  await load("/x");
  assert.ok(asked.pauses.includes(3) && Math.max(...asked.pauses) === 10);
});

test("what is final is told at once", async (t) => {
  for (const [status, text] of [[401, /Sign in again/], [404, /deleted or have expired/], [400, /error \(400\)/]]) {
    const asked = serve(t, answered(status));
    await assert.rejects(load("/x"), text);
    assert.equal(asked.requests, 1);
  }
  serve(t, answered(202, { "Retry-After": "3" }));
  await assert.rejects(load("/x"), (error) => error.isPending && error.retry === 3);
  serve(t, answered(204));
  await assert.rejects(load("/x"), (error) => error.isMissing);
});

test("a load that is not wanted any more ends without another try", async (t) => {
  const stop = new AbortController();
  const asked = serve(t, (signal) => {
    stop.abort();
    signal.throwIfAborted();
  });
  await assert.rejects(load("/x", { signal: stop.signal }));
  assert.equal(asked.requests, 1);
});

test("a promise that does not settle is given up on", async () => {
  await assert.rejects(within(0.001, new Promise(() => {}), new Error("late")), /late/);
  assert.equal(await within(10, Promise.resolve(1), new Error("late")), 1);
});
