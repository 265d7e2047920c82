// The player's engine: every stem starts at one moment from one place, whatever is pressed, and loops alike.
import assert from "node:assert/strict";
import { test } from "node:test";

import { AudioContext } from "./audio.mjs";

const { BufferEngine } = await import(`${process.env.STATIC}/engine.js`);
const { Faders } = await import(`${process.env.STATIC}/faders.js`);

const NAMES = ["vocals", "drums", "bass", "guitar", "piano", "other"];

function open(duration = 10) {
  const context = new AudioContext();
  const faders = new Faders(NAMES);
  const engine = new BufferEngine(context, new Map(NAMES.map((name) => [name, { duration }])), faders);
  return { context, faders, engine };
}

function assertInStep({ context, engine }) {
  const starts = new Set(context.sources.map(({ started, loop, loopStart, loopEnd }) =>
    JSON.stringify([started.when, started.offset, loop, loopStart, loopEnd])));
  assert.equal(context.sources.length, NAMES.length);
  assert.equal(starts.size, 1);
  assert.ok(context.sources[0].started.when > context.currentTime, "scheduled before its moment");
  assert.equal(new Set(Object.values(engine.positions())).size, 1);
}

const near = (got, wanted) => assert.ok(Math.abs(got - wanted) < 1e-9, `${got} is not ${wanted}`);

test("all stems start and stay in sync", async () => {
  const player = open();
  await player.engine.play();
  assertInStep(player);
  player.context.wait(2.05);
  near(player.engine.position, 2);
  assert.deepEqual([...new Set(Object.values(player.engine.positions()))], [player.engine.position]);
});

test("a moving clock does not separate stems", async () => {
  const player = open();
  await player.engine.play();
  let at = 2;
  Object.defineProperty(player.context, "currentTime", { get: () => (at += 0.01) });
  assert.equal(new Set(Object.values(player.engine.positions())).size, 1);
});

test("pausing keeps the position and seeking changes it", async () => {
  const player = open();
  await player.engine.play();
  player.context.wait(3.05);
  player.engine.pause();
  assert.equal(player.context.sources.length, 0);
  player.context.wait(5);
  near(player.engine.position, 3);
  await player.engine.play();
  assertInStep(player);
  player.engine.seek(7);
  assertInStep(player);
  player.context.wait(1.05);
  near(player.engine.position, 8);
  player.engine.pause();
  player.engine.seek(-1);
  assert.equal(player.engine.position, 0);
  player.engine.seek(99);
  assert.equal(player.engine.position, 10);
});

test("playing twice starts once", async () => {
  const player = open();
  await player.engine.play();
  await player.engine.play();
  assertInStep(player);
});

test("a loop applies to every stem and contains the position", async () => {
  const player = open();
  player.engine.setLoop({ start: 2, end: 3.5 });
  await player.engine.play();
  assertInStep(player);
  player.context.wait(3.05);
  near(player.engine.position, 3);
  player.context.wait(1);
  near(player.engine.position, 2.5);
  player.context.wait(15);
  near(player.engine.position, 2.5);
  player.engine.setLoop(null);
  assertInStep(player);
  player.context.wait(4.05);
  near(player.engine.position, 6.5);
});

test("playing after the end of a loop starts at its start", async () => {
  const player = open();
  player.engine.seek(8);
  player.engine.setLoop({ start: 2, end: 3 });
  await player.engine.play();
  player.context.wait(0.55);
  near(player.engine.position, 2.5);
});

test("a loop without length is ignored", () => {
  const { engine } = open();
  engine.setLoop({ start: 3, end: 3 });
  assert.equal(engine.loop, null);
});

test("the end is dispatched and the next playback starts at zero", async () => {
  const player = open(4);
  const told = [];
  for (const name of ["change", "end"]) player.engine.addEventListener(name, () => told.push(name));
  await player.engine.play();
  player.context.wait(4.05);
  assert.deepEqual(told, ["change", "change", "end"]);
  assert.deepEqual([player.engine.playing, player.engine.position], [false, 0]);
});

test("faders apply gain, mute, and solo before mute", () => {
  const { faders, engine } = open();
  const heard = () => NAMES.filter((name) => engine.strips.get(name).gain.gain.value > 0);
  assert.deepEqual([...engine.strips.values()].map(({ gain }) => gain.gain.value), NAMES.map(() => 1));
  faders.set("vocals", { muted: true });
  faders.set("bass", { gain: -20, pan: -0.5 });
  engine.apply();
  assert.deepEqual(heard(), NAMES.slice(1));
  near(engine.strips.get("bass").gain.gain.value, 0.1);
  assert.equal(engine.strips.get("bass").panner.pan.value, -0.5);
  faders.set("vocals", { solo: true });
  faders.set("piano", { solo: true });
  engine.apply();
  assert.deepEqual(heard(), ["vocals", "piano"]);
});

test("mono is panned as two equal channels", () => {
  for (const { panner } of open().engine.strips.values()) {
    assert.deepEqual([panner.channelCount, panner.channelCountMode], [2, "explicit"]);
  }
});
