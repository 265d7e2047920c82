// Previews load piece by piece, in order, with range requests, and within bounded memory.
import assert from "node:assert/strict";
import { test } from "node:test";

const { LoadError } = await import(`${process.env.STATIC}/loading.js`);
const { Previews, exact } = await import(`${process.env.STATIC}/previews.js`);

const RATE = 100;
const PIECE = 200;
const NAMES = ["vocals", "drums"];

globalThis.AudioBuffer = class {
  constructor({ length, numberOfChannels, sampleRate }) {
    Object.assign(this, { length, numberOfChannels, sampleRate });
    this.channels = Array.from({ length: numberOfChannels }, () => new Float32Array(length));
  }

  getChannelData(channel) {
    return this.channels[channel];
  }

  copyToChannel(data, channel) {
    this.channels[channel].set(data);
  }
};

/** A server whose pieces of 10 bytes contain their number, and a decoder of them. */
function serve(samples, { lies = 0, ranges = true } = {}) {
  const count = Math.ceil(samples / PIECE);
  const requests = [];
  const index = {
    sampleRate: RATE,
    samples,
    pieceSamples: PIECE,
    delay: 30,
    stems: Object.fromEntries(NAMES.map((name) => [name, { file: `${name}.opus`, sizes: Array(count).fill(10) }])),
  };
  globalThis.fetch = async (url, options) => {
    options.signal?.throwIfAborted();
    const [, first, last] = /bytes=(\d+)-(\d+)/.exec(options.headers.Range).map(Number);
    requests.push([url, first / 10, (last + 1) / 10]);
    const whole = Uint8Array.from({ length: count * 10 }, (_, at) => Math.floor(at / 10));
    return new Response(ranges ? whole.slice(first, last + 1) : whole, { status: ranges ? 206 : 200 });
  };
  const context = {
    async decodeAudioData(data) {
      const [number] = new Uint8Array(data);
      assert.equal(data.byteLength, 10);
      const length = Math.min(PIECE, samples - number * PIECE) + lies;
      const buffer = new AudioBuffer({ length, numberOfChannels: 1, sampleRate: RATE });
      buffer.getChannelData(0).fill(number);
      return buffer;
    },
  };
  return { previews: new Previews("/previews", index, context), requests };
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 20));

test("the first piece of all stems is loaded alone, then several at once", async () => {
  const { previews, requests } = serve(20 * PIECE);
  previews.want(0, 6);
  await settle();
  assert.deepEqual(requests, [[0, 1], [1, 5], [5, 6]].flatMap(([first, end]) =>
    NAMES.map((name) => [`/previews/${name}.opus`, first, end])));
});

test("pieces are decoded to their exact length and in their place", async () => {
  const { previews } = serve(5 * PIECE + 77);
  assert.deepEqual([previews.count, previews.samples], [6, 5 * PIECE + 77]);
  for (const number of [0, 5, 3]) {
    const piece = await previews.piece(number);
    assert.deepEqual([...piece.keys()], NAMES);
    assert.equal(piece.get("drums").getChannelData(0)[0], number);
    assert.equal(piece.get("drums").length, number === 5 ? 77 : PIECE);
  }
});

test("a server that ignores ranges is understood", async () => {
  const { previews } = serve(4 * PIECE, { ranges: false });
  assert.equal((await previews.piece(2)).get("vocals").getChannelData(0)[0], 2);
});

test("seeking loads the new place at once", async () => {
  const { previews, requests } = serve(100 * PIECE);
  previews.want(0, 8);
  previews.want(50, 58);
  const piece = await previews.piece(50);
  assert.equal(piece.get("vocals").getChannelData(0)[0], 50);
  assert.deepEqual(requests.slice(2, 4).map(([, first]) => first), [50, 50]);
});

test("memory is bounded however long the song is", async () => {
  const { previews, requests } = serve(1000 * PIECE);
  for (let number = 0; number < 300; number += 1) {
    previews.want(number, number + 12);
    await previews.piece(number);
  }
  const before = requests.length;
  await previews.piece(299);
  assert.equal(requests.length, before, "the last piece is kept");
  await previews.piece(0);
  assert.ok(requests.length > before, "the first piece was forgotten");
});

test("a failed load is an error and the next one tries again", async () => {
  const { previews } = serve(4 * PIECE);
  const works = globalThis.fetch;
  globalThis.fetch = async () => new Response(null, { status: 404 });
  await assert.rejects(previews.piece(0), LoadError);
  globalThis.fetch = works;
  assert.ok(await previews.piece(0));
});

test("a decoder that ignores the header returns the delay, which is dropped", () => {
  const decoded = new AudioBuffer({ length: 240, numberOfChannels: 2, sampleRate: RATE });
  decoded.getChannelData(1).set(Array.from({ length: 240 }, (_, at) => at));
  const cut = exact(decoded, 200, 30);
  assert.equal(cut.length, 200);
  assert.deepEqual([...cut.getChannelData(1).slice(0, 2)], [30, 31]);
  assert.equal(exact(cut, 200, 30), cut);
  assert.equal(exact(decoded, 230, 30).getChannelData(1)[0], 0);
});
