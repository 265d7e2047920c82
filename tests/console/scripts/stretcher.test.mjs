// Speed and pitch: length, pitch, purity, and stems in step, by numbers.
import assert from "node:assert/strict";
import { test } from "node:test";

const { Stretcher } = await import(`${process.env.STATIC}/stretcher.js`);
const { tempoText, transposed, transposedChord } = await import(`${process.env.STATIC}/keys.js`);

const RATE = 48000;
const BLOCK = 128;

/** What the stems, all with the same channels, sound like at a speed and a pitch; `drums` has true for drums. */
function stretched([left, right], { speed = 1, semitones = 0, drums = [false] }) {
  const stretcher = new Stretcher(drums);
  Object.assign(stretcher, { speed, semitones });
  stretcher.clear();
  for (let at = 0; at < left.length; at += RATE) {
    stretcher.push(drums.map(() => [left.subarray(at, at + RATE), right.subarray(at, at + RATE)]));
  }
  stretcher.finish();
  const made = drums.map(() => [[], []]);
  const block = drums.map(() => [new Float32Array(BLOCK), new Float32Array(BLOCK)]);
  for (let tries = 0; !stretcher.isFinished; tries += 1) {
    assert.ok(tries < 1e5);
    if (stretcher.pull(block)) block.forEach((channels, stem) => channels.forEach((samples, channel) => made[stem][channel].push(...samples)));
  }
  return made;
}

const tone = (seconds, ...partials) => Float32Array.from({ length: seconds * RATE }, (_, at) =>
  partials.reduce((sum, hertz) => sum + 0.2 * Math.sin((2 * Math.PI * hertz * at) / RATE + hertz), 0));

/** The phase of a partial around a place. */
function phase(samples, at, hertz) {
  let [re, im] = [0, 0];
  for (let number = 0; number < 16384; number += 1) {
    const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * number) / 16384);
    const angle = (2 * Math.PI * hertz * (at + number)) / RATE;
    re += window * samples[at + number] * Math.cos(angle);
    im -= window * samples[at + number] * Math.sin(angle);
  }
  return [Math.atan2(im, re), Math.hypot(re, im)];
}

/** The deviation of a partial in cents. */
function cents(samples, hertz) {
  const apart = 240;
  const turned = phase(samples, 24000 + apart, hertz)[0] - phase(samples, 24000, hertz)[0];
  const rest = turned - 2 * Math.PI * Math.round(turned / (2 * Math.PI));
  return 1200 * Math.log2(1 + (rest * RATE) / (2 * Math.PI * apart * hertz));
}

/** The center of energy around a place. */
function center(samples, about, width) {
  let [sum, weighted] = [0, 0];
  for (let at = about - width; at < about + width; at += 1) {
    sum += samples[at] ** 2;
    weighted += at * samples[at] ** 2;
  }
  return weighted / sum;
}

const SETTINGS = [
  { speed: 0.5 }, { speed: 0.8 }, { speed: 1.5 }, { semitones: 12 }, { semitones: -12 }, { semitones: 3, speed: 0.7 },
];

test("at the speed and the pitch of the song nothing changes", () => {
  const song = [tone(1, 220, 440), tone(1, 330)];
  const [made] = stretched(song, {});
  for (const channel of [0, 1]) {
    const worst = song[channel].reduce((most, value, at) => Math.max(most, Math.abs(value - made[channel][at])), 0);
    assert.ok(worst < 1e-5, `differs by ${worst}`);
  }
});

for (const setting of SETTINGS) {
  const { speed = 1, semitones = 0 } = setting;
  test(`length and pitch are exact at speed ${speed} and ${semitones} semitones`, () => {
    const ratio = 2 ** (semitones / 12);
    const [[left, right]] = stretched([tone(3, 261.63, 440), tone(3, 440)], setting);
    assert.ok(Math.abs(left.length - (3 * RATE) / speed) <= BLOCK / speed + 1);
    for (const [channel, hertz] of [[left, 261.63], [left, 440], [right, 440]]) {
      assert.ok(Math.abs(cents(channel, hertz * ratio)) < 0.1, `${cents(channel, hertz * ratio)} cents`);
    }
    // the window of the measurement sums to half its length
    assert.ok(Math.abs(phase(right, 24000, 440 * ratio)[1] / 4096 - 0.2) < 0.02);
  });
}

test("drums and other stems stay within 5 ms of each other", () => {
  const song = new Float32Array(3 * RATE);
  const bursts = [30000, 60001, 110000]; // of noise, a third of a second long: long frames smear what is shorter
  for (const burst of bursts) {
    for (let at = -8000; at < 8000; at += 1) song[burst + at] = Math.sin(at ** 3) * Math.cos((Math.PI * at) / 16000);
  }
  for (const { speed = 1, semitones = 0 } of SETTINGS) {
    const made = stretched([song, song], { speed, semitones, drums: [false, true] });
    for (const burst of bursts) {
      const width = Math.round(12000 / speed);
      const [other, drums] = made.map(([left]) => center(left, Math.round(burst / speed), width));
      assert.ok(Math.abs(other - drums) < 0.005 * RATE, `${other - drums} samples apart at ${speed}, ${semitones}`);
      assert.ok(Math.abs(drums - burst / speed) < 0.005 * RATE, "in step with the song");
    }
  }
});

test("the place follows the speed, and a change of speed keeps the stems together", () => {
  const stretcher = new Stretcher([false, true]);
  const noise = Float32Array.from({ length: 3 * RATE }, (_, at) => Math.sin(at * at));
  stretcher.push([[noise], [noise]]);
  const block = [0, 1].map(() => [new Float32Array(BLOCK), new Float32Array(BLOCK)]);
  const pull = (count) => {
    for (let made = 0; made < count; ) made += stretcher.pull(block) ? BLOCK : 0;
  };
  pull(RATE / 2);
  assert.ok(Math.abs(stretcher.place - RATE / 2) < BLOCK);
  const before = stretcher.place;
  stretcher.speed = 0.5;
  pull(RATE);
  // what was made in advance has the speed of before
  assert.ok(Math.abs(stretcher.place - before - RATE / 2) < 4096);
  stretcher.clear();
  assert.equal(stretcher.place, 0);
  assert.equal(stretcher.pull(block), false); // nothing was pushed
});

test("keys are transposed, and tempi have at most one decimal", () => {
  assert.equal(transposed("A minor", 0), "A minor · 8A");
  assert.equal(transposed("A minor", 2), "B minor · 10A");
  assert.equal(transposed("C major", -1), "B major · 1B");
  assert.equal(transposed("F# minor", -12), "F# minor · 11A");
  const chords = [["Am", 0], ["B", 1], ["C", -2], ["F#m", 12], ["Eb", 3]].map((each) => transposedChord(...each));
  assert.deepEqual(chords, ["Am", "C", "Bb", "F#m", "F#"]);
  assert.deepEqual([tempoText(120), tempoText(96.04999), tempoText(87.25)], ["120 BPM", "96 BPM", "87.3 BPM"]);
});
