// Zoom, metronome and count-in.
import assert from "node:assert/strict";
import { test } from "node:test";

const { View } = await import(`${process.env.STATIC}/view.js`);
const { atTempo } = await import(`${process.env.STATIC}/key_finder.js`);
const { clicks, countIn } = await import(`${process.env.STATIC}/metronome.js`);

const BEATS = [0.5, 1, 1.5, 2, 2.5];
const near = (got, wanted) => got.forEach((value, at) => assert.ok(Math.abs(value - wanted[at]) < 1e-9, `${got} is not ${wanted}`));

test("zooming keeps the position in place and stays in the song", () => {
  let changes = 0;
  const view = new View(() => 100, () => (changes += 1));
  view.zoom(4, 50);
  assert.deepEqual([view.factor, view.start, view.end], [4, 37.5, 62.5]);
  assert.equal(view.share(50), 0.5);
  assert.equal(view.at(0), 37.5);
  view.zoom(1e9, 50);
  assert.equal(view.factor, 64);
  view.zoom(1e-9, 50);
  assert.deepEqual([view.factor, view.start, view.isWhole], [1, 0, true]);
  view.zoom(2, 100);
  assert.equal(view.end, 100);
  assert.equal(changes, 4);
});

test("the view turns the page before its end, and follows jumps", () => {
  const view = new View(() => 100, () => {});
  view.zoom(10, 0);
  view.follow(8, true);
  assert.equal(view.start, 0);
  view.follow(9.5, true);
  assert.ok(view.share(9.5) > 0 && view.share(9.5) < 0.2);
  view.follow(80, false);
  assert.ok(view.share(80) >= 0 && view.share(80) <= 1);
});

test("four clicks come before the song, at the distance of its beats", () => {
  near(countIn(BEATS, 0.5, 1), [2, 1.5, 1, 0.5]);
  near(countIn(BEATS, 0.7, 1), [1.7, 1.2, 0.7, 0.2]);
  near(countIn(BEATS, 0.5, 0.5), [4, 3, 2, 1]);
  near(countIn(BEATS, 9, 1), [2, 1.5, 1, 0.5]); // after the last beat
});

test("every beat clicks once, in loops and at other speeds", () => {
  const engine = { speed: 1, loop: null, clockAt: (seconds) => 10 + seconds };
  near(clicks(BEATS, engine, 10.9, 11.6), [11, 11.5]);
  Object.assign(engine, { speed: 0.5, clockAt: (seconds) => 10 + 2 * seconds });
  near(clicks(BEATS, engine, 11, 13.1), [11, 12, 13]);
  Object.assign(engine, { speed: 1, loop: { start: 1, end: 2 }, clockAt: (seconds) => 10 + seconds });
  near(clicks(BEATS, engine, 11.4, 12.6), [11.5, 12, 12.5]);
});

test("beats are halved and doubled", () => {
  assert.deepEqual(atTempo(BEATS, 1), BEATS);
  assert.deepEqual(atTempo(BEATS, 0.5), [0.5, 1.5, 2.5]);
  assert.deepEqual(atTempo([0.5, 1, 1.5], 2), [0.5, 0.75, 1, 1.25, 1.5]);
});
