// Resumable uploads: slices, lost connections and rejections.
import assert from "node:assert/strict";
import { test } from "node:test";

const { Broken, send } = await import(`${process.env.STATIC}/upload.js`);

const MB = 1 << 20;
const PLACE = { path: "/uploads/upl_1", token: "secret" };

/** A server that stores slices. `meddle(number, slice)` can replace the response to a request. */
class Server {
  constructor(size, meddle = () => null) {
    Object.assign(this, { size, meddle, kept: 0, isComplete: false, slices: [], heads: 0, pauses: [], told: [] });
    globalThis.fetch = async (path, { method, headers }) => {
      assert.deepEqual([path, method, headers], [PLACE.path, "HEAD", { "X-Upload-Token": "secret" }]);
      this.heads += 1;
      const status = this.head?.(this.heads) ?? 200;
      if (status === 0) throw new TypeError("no connection");
      const offset = String(this.kept);
      return { status, ok: status === 200, headers: { get: (name) => (name === "Upload-Offset" ? offset : null) } };
    };
    const server = this;
    globalThis.XMLHttpRequest = class extends EventTarget {
      upload = new EventTarget();
      headers = {};
      open(method, path) { assert.deepEqual([method, path], ["PATCH", PLACE.path]); }
      setRequestHeader(name, value) { this.headers[name] = String(value); }
      abort() { assert.fail("the answer comes at once"); }
      send(blob) {
        for (const loaded of [blob.size / 2, blob.size]) {
          this.upload.dispatchEvent(Object.assign(new Event("progress"), { loaded }));
        }
        this.upload.dispatchEvent(new Event("loadend"));
        const { status, body = null } = server.answer(this.headers, blob);
        this.status = status;
        this.response = body;
        this.dispatchEvent(new Event("loadend"));
      }
    };
  }

  answer(headers, blob) {
    const at = Number(headers["Upload-Offset"]);
    const slice = { at, size: blob.size, isLast: headers["Upload-Complete"] === "?1" };
    assert.equal(headers["Content-Type"], "application/partial-upload");
    assert.equal(headers["X-Upload-Token"], "secret");
    this.slices.push(slice);
    const other = this.meddle(this.slices.length, slice);
    if (other) return other;
    assert.ok(at === this.kept || this.isComplete, `${at} is not ${this.kept}`);
    this.kept = at + blob.size;
    assert.equal(slice.isLast, this.kept === this.size);
    this.isComplete = slice.isLast;
    return slice.isLast ? { status: 200, body: { success: true, data: { key: "the key" } } } : { status: 204 };
  }

  send() {
    const tell = (sent, isBroken = false) => this.told.push([sent, isBroken]);
    return send(new Blob([new Uint8Array(this.size)]), PLACE, tell, async (s) => { this.pauses.push(s); });
  }
}

const refused = (status, error, message) => ({ status, body: { success: false, error, message } });

test("a file is sent in slices of 8 MiB with progress", async () => {
  const server = new Server(20 * MB);
  assert.equal(await server.send(), "the key");
  assert.deepEqual(server.slices, [
    { at: 0, size: 8 * MB, isLast: false },
    { at: 8 * MB, size: 8 * MB, isLast: false },
    { at: 16 * MB, size: 4 * MB, isLast: true },
  ]);
  assert.deepEqual(server.told.map(([sent]) => sent / MB), [4, 8, 12, 16, 18, 20]);
  assert.deepEqual([server.heads, server.pauses], [1, []]);
});

test("a small file is one slice", async () => {
  const server = new Server(5);
  assert.equal(await server.send(), "the key");
  assert.deepEqual(server.slices, [{ at: 0, size: 5, isLast: true }]);
});

test("an upload resumes after a lost connection", async () => {
  const server = new Server(20 * MB, (number) => (number === 2 ? { status: 0 } : null));
  assert.equal(await server.send(), "the key");
  assert.deepEqual(server.slices.map(({ at, size }) => [at / MB, size / MB]), [[0, 8], [8, 8], [8, 4], [12, 8]]);
  assert.deepEqual([server.heads, server.pauses], [2, [1]]);
  assert.deepEqual(server.told.filter(([, isBroken]) => isBroken), [[8 * MB, true]]);
});

test("a slice is not sent again if only its response was lost", async () => {
  const server = new Server(20 * MB, (number, slice) => {
    if (number !== 2) return null;
    server.kept = slice.at + slice.size;
    return { status: 0 };
  });
  assert.equal(await server.send(), "the key");
  assert.deepEqual(server.slices.map(({ at }) => at / MB), [0, 8, 16]);
});

test("a lost last response is requested again", async () => {
  const server = new Server(8 * MB, (number) => {
    if (number > 1) return null;
    server.kept = server.size;
    server.isComplete = true;
    return { status: 504 };
  });
  assert.equal(await server.send(), "the key");
  assert.deepEqual(server.slices[1], { at: 8 * MB, size: 0, isLast: true });
});

for (const answer of [
  { status: 0 },
  { status: 502 },
  { status: 405 },
  { status: 429 },
  refused(409, "UPLOAD_IN_PROGRESS", ""),
  refused(409, "UPLOAD_OFFSET_MISMATCH", ""),
  refused(409, "UPLOAD_USED", ""), // while something is sent: all came meanwhile
  refused(400, "UPLOAD_INCOMPLETE", ""),
]) {
  test(`a temporary failure is retried with growing pauses: ${answer.status} ${answer.body?.error ?? ""}`, async () => {
    const server = new Server(20 * MB, (number) => (number > 1 && number < 9 ? answer : null));
    assert.equal(await server.send(), "the key");
    assert.deepEqual(server.pauses, [1, 2, 4, 8, 15, 15, 15]);
    assert.equal(server.heads, 8);
  });
}

test("slices shrink while the connection fails and grow again", async () => {
  const server = new Server(40 * MB, (number) => (number > 1 && number < 12 ? { status: 0 } : null));
  await server.send();
  const sizes = server.slices.map(({ size }) => size / MB);
  assert.deepEqual(sizes.slice(0, 5), [8, 8, 4, 2, 1]);
  assert.deepEqual(sizes.slice(8, 15), [1 / 16, 1 / 16, 1 / 16, 1 / 16, 1 / 8, 1 / 4, 1 / 2]);
  assert.ok(sizes.slice(-3).includes(8));
});

test("the body limit of a proxy is detected", async () => {
  const server = new Server(5 * MB, (number, { size }) => (size > MB ? { status: 413 } : null));
  assert.equal(await server.send(), "the key");
  assert.deepEqual(server.slices.map(({ size }) => size / MB), [5, 4, 2, 1, 1, 1, 1, 1]);
  assert.deepEqual(server.pauses, []);
});

test("a proxy that rejects every slice ends the upload", async () => {
  const server = new Server(9 * MB, () => ({ status: 413 }));
  await assert.rejects(server.send(), /^Error: The upload failed\.$/);
  assert.equal(server.slices.at(-1).size, 64 << 10);
});

test("a rejection ends the upload with the message of the server", async () => {
  const server = new Server(20 * MB, () => refused(415, "UPLOAD_TYPE_MISMATCH", "This is a text file."));
  await assert.rejects(server.send(), (error) => error.message === "This is a text file." && !(error instanceof Broken));
  assert.equal(server.slices.length, 1);
});

test("an upload used by a split is not retried", async () => {
  const server = new Server(MB, () => refused(409, "UPLOAD_USED", "It was received."));
  server.kept = MB;
  await assert.rejects(server.send(), /It was received\./);
});

test("an expired upload ends with an error", async () => {
  const server = new Server(20 * MB, (number) => (number === 2 ? { status: 0 } : null));
  server.head = (number) => (number === 2 ? 410 : 200);
  await assert.rejects(server.send(), /^Error: The upload has expired\. Upload the file again\.$/);
});

test("an unreachable server ends the upload, which can be resumed", async () => {
  const server = new Server(20 * MB, (number) => (number > 1 ? { status: 0 } : null));
  server.head = (number) => (number === 1 ? 200 : [405, 0, 503, 429][number % 4]);
  await assert.rejects(server.send(), (error) => error instanceof Broken && /Press Split to resume/.test(error.message));
  const waited = server.pauses.reduce((sum, seconds) => sum + seconds);
  assert.ok(waited > 240 && waited < 300, `${waited} s`);
  assert.deepEqual(server.told.at(-1), [8 * MB, true]);
  server.head = server.meddle = () => null;
  assert.equal(await server.send(), "the key");
  assert.equal(server.slices.at(-1).at + server.slices.at(-1).size, server.size);
});
