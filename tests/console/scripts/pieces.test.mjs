// The engine of previews: the pieces of all stems are scheduled together, on whole frames, without gaps.
import assert from "node:assert/strict";
import { test } from "node:test";

import { AudioContext } from "./audio.mjs";

const { PieceEngine } = await import(`${process.env.STATIC}/pieces.js`);
const { Faders } = await import(`${process.env.STATIC}/faders.js`);

const NAMES = ["vocals", "drums", "bass"];
const RATE = 48000;
const PIECE = 2 * RATE;

const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

function open(seconds = 20) {
  const context = new AudioContext();
  context.sampleRate = RATE;
  const samples = Math.round(seconds * RATE);
  const previews = {
    names: NAMES, sampleRate: RATE, samples, pieceSamples: PIECE, wanted: [],
    want(first) { this.wanted.push(first); },
    async piece(number) {
      if (this.broken) throw new Error("gone");
      const length = Math.min(PIECE, samples - number * PIECE);
      return new Map(NAMES.map((name) => [name, { number, length, duration: length / RATE }]));
    },
  };
  const engine = new PieceEngine(context, previews, new Faders(NAMES));
  return { context, engine, previews };
}

/** The scheduled parts, each in frames: piece, start on the clock, start in the piece, end on the clock if it is cut. */
function parts({ context }) {
  const all = context.sources.map(({ buffer, started, stoppedAt }) =>
    [buffer.number, Math.round(started.when * RATE), Math.round(started.offset * RATE), stoppedAt && Math.round(stoppedAt * RATE)]);
  assert.equal(all.length % NAMES.length, 0);
  const first = all.filter((_, at) => at % NAMES.length === 0);
  for (let at = 0; at < all.length; at += 1) {
    assert.deepEqual(all[at], first[Math.floor(at / NAMES.length)], "all stems have one time");
  }
  return first;
}

test("pieces follow each other without a gap, all stems at the same frames", async (t) => {
  const player = open();
  t.after(() => player.engine.pause());
  player.engine.seek(1.23456);
  await player.engine.play();
  await settle();
  const scheduled = parts(player);
  assert.ok(scheduled.length >= 2);
  const offset = Math.round(1.23456 * RATE);
  assert.deepEqual(scheduled[0].slice(0, 3), [0, 0.05 * RATE, offset]);
  assert.deepEqual(scheduled[1].slice(0, 3), [1, 0.05 * RATE + PIECE - offset, 0]);
  assert.deepEqual(scheduled[2].slice(0, 3), [2, 0.05 * RATE + 2 * PIECE - offset, 0]);
  for (const { started } of player.context.sources) {
    assert.ok(Math.abs(started.when * RATE - Math.round(started.when * RATE)) < 1e-6, "a whole frame");
  }
  player.context.currentTime += 1.05;
  assert.ok(Math.abs(player.engine.position - 2.23456) < 1 / RATE);
  assert.deepEqual([...new Set(Object.values(player.engine.positions()))].length, 1);
});

test("a loop is exact to the frame and continues while it plays", async (t) => {
  const player = open();
  t.after(() => player.engine.pause());
  player.engine.setLoop({ start: 1, end: 2.5 });
  await player.engine.play();
  await settle();
  const start = 0.05 * RATE;
  assert.deepEqual(parts(player).slice(0, 4), [
    [0, start, 0, undefined],
    [1, start + PIECE, 0, start + 2.5 * RATE],
    [0, start + 2.5 * RATE, RATE, undefined],
    [1, start + 3.5 * RATE, 0, start + 4 * RATE],
  ]);
  player.context.currentTime = 3.05;
  assert.ok(Math.abs(player.engine.position - 1.5) < 1 / RATE);
});

test("seeking while playing starts again from there", async (t) => {
  const player = open();
  t.after(() => player.engine.pause());
  await player.engine.play();
  await settle();
  player.context.currentTime = 1;
  player.engine.seek(11);
  assert.equal(player.engine.waiting, true);
  assert.equal(player.engine.position, 11);
  await settle();
  assert.equal(player.engine.waiting, false);
  assert.deepEqual(parts(player)[0].slice(0, 3), [5, 1.05 * RATE, RATE]);
  assert.ok(player.previews.wanted.includes(5));
});

test("pausing keeps the position and loads nothing more", async () => {
  const player = open();
  await player.engine.play();
  await settle();
  player.context.currentTime = 1.05;
  player.engine.pause();
  assert.equal(player.context.sources.length, 0);
  player.context.currentTime = 9;
  assert.ok(Math.abs(player.engine.position - 1) < 1 / RATE);
});

test("the end is dispatched and the next playback starts at zero", async () => {
  const player = open(1.5);
  const ended = new Promise((resolve) => player.engine.addEventListener("end", resolve));
  await player.engine.play();
  await settle();
  player.context.currentTime = 1.6;
  await ended;
  assert.deepEqual([player.engine.playing, player.engine.position], [false, 0]);
});

test("a piece that comes late starts when it can, with all stems together", async (t) => {
  const player = open();
  t.after(() => player.engine.pause());
  let arrive;
  const works = player.previews.piece;
  player.previews.piece = (number) => (number === 1
    ? new Promise((resolve) => { arrive = () => resolve(works.call(player.previews, 1)); })
    : works.call(player.previews, number));
  await player.engine.play();
  await settle();
  player.context.currentTime = 5;
  arrive();
  await settle();
  assert.deepEqual(parts(player)[1].slice(0, 3), [1, 5.05 * RATE, 0]);
});

test("a failed load pauses and is reported, and playing again works", async () => {
  const player = open();
  player.previews.broken = true;
  const failed = new Promise((resolve) => player.engine.addEventListener("error", resolve));
  await player.engine.play();
  assert.equal((await failed).detail.message, "gone");
  assert.equal(player.engine.playing, false);
  player.previews.broken = false;
  await player.engine.play();
  await settle();
  assert.ok(player.context.sources.length > 0);
  player.engine.pause();
});

test("playing from the exact end of the song ends", async () => {
  const player = open(3 * PIECE / RATE);
  const told = [];
  for (const name of ["end", "error"]) player.engine.addEventListener(name, () => told.push(name));
  await player.engine.play();
  player.engine.seek(3 * PIECE / RATE);
  await settle();
  assert.deepEqual([told, player.engine.playing, player.engine.position], [["end"], false, 0]);
});

test("a context that does not start is an error, and playing later works", async (t) => {
  const player = open();
  t.after(() => player.engine.pause());
  const real = setTimeout;
  globalThis.setTimeout = (run) => real(run, 1);
  player.context.state = "suspended";
  player.context.resume = () => new Promise(() => {});
  await assert.rejects(player.engine.play(), /has not started the sound/);
  player.context.resume = () => Promise.reject(new Error("interrupted"));
  await assert.rejects(player.engine.play(), /has not started the sound/);
  globalThis.setTimeout = real;
  assert.equal(player.engine.playing, false);
  player.context.resume = async () => {};
  await Promise.all([player.engine.play(), player.engine.play()]);
  await settle();
  assert.ok(parts(player).length >= 2);
});

test("playback that waits for a late piece says so", async (t) => {
  const player = open();
  t.after(() => player.engine.pause());
  await player.engine.play();
  await settle();
  assert.equal(player.engine.waiting, false);
  player.context.currentTime += 100; // nothing more was added
  assert.equal(player.engine.waiting, true);
});
