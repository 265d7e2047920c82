// Changes the speed and the pitch of stems together: every stem is read at the same places, so that they stay in step.
//
// The vocoder stretches the stems by pitch / speed, then they are resampled by the pitch. Drums have short frames, which
// keep their hits; the others long ones, which resolve chords. The work is spread over the calls.
import { Vocoder } from "./vocoder.js";

const TICK = 1024; // stretched samples made at once; also the hop of long frames
const [LONG, SHORT] = [4 * TICK, 512]; // samples in a frame
const HELD = 1 << 18; // samples of the song that are held
const MADE = 1 << 14; // stretched samples that are held
const ZEROS = 16; // zero crossings of the resampling kernel on each side
const FINE = 512; // points of the kernel per zero crossing
const KAISER = 8;
const BLOCK = 128; // most samples returned at once
const MOST = 8 * ZEROS + 4; // weights of a sample, at two octaves up

export class Stretcher {
  speed = 1;
  semitones = 0;
  #stems;
  #end = 0; // samples pushed
  #isEnded = false;
  #tick; // the next to make
  #part = 0; // stems of it that are made
  #place = 0; // of the tick in the song
  #marks = new Map(); // tick → its place in the song, and the distance of two samples there
  #at = 0; // the next stretched sample to return
  #isPrimed = false;
  #weights = new Float32Array(BLOCK * MOST); // for each sample that is returned
  #firsts = new Int32Array(BLOCK); // the first stretched sample of its weights

  /** `stems`: an array with true for drums. */
  constructor(stems) {
    this.#stems = stems.map((isDrums) => ({
      vocoder: new Vocoder(isDrums ? SHORT : LONG),
      input: { left: new Float32Array(HELD), right: new Float32Array(HELD), end: 0 },
      output: { left: new Float32Array(MADE), right: new Float32Array(MADE) },
    }));
    this.clear();
  }

  /** Forget everything. */
  clear() {
    this.#end = 0;
    this.#isEnded = false;
    this.#tick = -1; // the first frame of which a part is returned
    this.#part = 0;
    this.#place = -TICK * this.#step;
    this.#marks.clear();
    this.#at = 0;
    this.#isPrimed = false;
    for (const { vocoder, output } of this.#stems) {
      vocoder.reset();
      output.left.fill(0);
      output.right.fill(0);
    }
  }

  /** Append samples: for each stem `[left, right]`. */
  push(stems) {
    const count = stems[0][0].length;
    stems.forEach((channels, number) => {
      const { input } = this.#stems[number];
      write(input.left, this.#end, channels[0]);
      write(input.right, this.#end, channels[1] ?? channels[0]);
      input.end = this.#end + count;
    });
    this.#end += count;
  }

  /** Nothing more will be pushed. */
  finish() {
    this.#isEnded = true;
  }

  /** The place in what was pushed of the next sample that is returned. */
  get place() {
    const tick = Math.floor(this.#at / TICK);
    const { place, step } = this.#marks.get(tick) ?? { place: this.#place, step: 0 };
    return Math.min(Math.max(place + (this.#at - tick * TICK) * step, 0), this.#end);
  }

  get isFinished() {
    return this.#isEnded && this.place >= this.#end;
  }

  /**
   * Write the next samples to `outputs`, for each stem `[left, right]`. False if there are none yet: write nothing.
   *
   * Each call makes at most a little more than it returns; so a start takes some calls.
   */
  pull(outputs) {
    const count = outputs[0][0].length;
    const ratio = this.#ratio;
    const needed = this.#at + count * ratio + this.#reach;
    const most = Math.ceil((count * ratio * this.#stems.length) / TICK) + 1;
    for (let made = 0; made < most && this.#ready < needed + TICK && this.#canMake; made += 1) this.#makePart();
    this.#isPrimed = this.#ready >= needed && (this.#isPrimed || this.#ready >= needed + TICK || !this.#canMake);
    if (!this.#isPrimed) return false;
    this.#resample(outputs, count, ratio);
    return true;
  }

  get #ratio() {
    return 2 ** (this.semitones / 12);
  }

  /** The distance in the song of two stretched samples. */
  get #step() {
    return this.speed / this.#ratio;
  }

  /** Stretched samples on each side that the resampling needs. */
  get #reach() {
    return Math.ceil(ZEROS * Math.max(this.#ratio, 1)) + 1;
  }

  /** The end of the stretched samples that are complete. */
  get #ready() {
    return (this.#tick - 2) * TICK;
  }

  get #canMake() {
    if (this.#part > 0 || this.#isEnded) return true;
    return this.#place + Math.max(LONG / 2, TICK * this.#step + SHORT / 2) + 1 <= this.#end;
  }

  /** Make one stem of a tick. */
  #makePart() {
    if (this.#part === 0) this.#marks.set(this.#tick, { place: this.#place, step: this.#step });
    const { vocoder, input, output } = this.#stems[this.#part];
    const { step } = this.#marks.get(this.#tick);
    for (let from = 0; from < TICK; from += vocoder.hop) {
      vocoder.frame(input, Math.round(this.#place + from * step), output, this.#tick * TICK + from);
    }
    this.#part += 1;
    if (this.#part < this.#stems.length) return;
    this.#part = 0;
    this.#place += TICK * step;
    this.#marks.delete(Math.floor(this.#at / TICK) - 1);
    this.#tick += 1;
  }

  #resample(outputs, count, ratio) {
    if (ratio === 1) this.#at = Math.round(this.#at);
    else for (let number = 0; number < count; number += 1) this.#weigh(number, ratio);
    this.#stems.forEach(({ output }, stem) => {
      this.#sum(output.left, outputs[stem][0], ratio);
      this.#sum(output.right, outputs[stem][1], ratio);
    });
    this.#at += count * ratio;
  }

  /** Set the weights of the stretched samples around one that is returned. */
  #weigh(number, ratio) {
    const reach = this.#reach;
    const cut = Math.min(1, 1 / ratio);
    const at = this.#at + number * ratio;
    const first = Math.floor(at) - reach + 1;
    this.#firsts[number] = first;
    const row = number * MOST;
    for (let tap = 0; tap < 2 * reach; tap += 1) {
      const point = Math.abs(first + tap - at) * cut * FINE;
      const low = Math.floor(point);
      const isOutside = low >= ZEROS * FINE;
      this.#weights[row + tap] = isOutside ? 0 : cut * (KERNEL[low] + (point - low) * (KERNEL[low + 1] - KERNEL[low]));
    }
  }

  #sum(ring, output, ratio) {
    const taps = 2 * this.#reach;
    const [weights, firsts] = [this.#weights, this.#firsts];
    for (let number = 0; number < output.length; number += 1) {
      if (ratio === 1) {
        output[number] = ring[(this.#at + number) & (MADE - 1)];
        continue;
      }
      const [first, row] = [firsts[number], number * MOST];
      let sum = 0;
      for (let tap = 0; tap < taps; tap += 1) sum += weights[row + tap] * ring[(first + tap) & (MADE - 1)];
      output[number] = sum;
    }
  }
}

function write(ring, at, samples) {
  const start = at % ring.length;
  const fits = Math.min(samples.length, ring.length - start);
  ring.set(samples.subarray(0, fits), start);
  ring.set(samples.subarray(fits), 0);
}

function bessel(x) {
  let [sum, term] = [1, 1];
  for (let number = 1; number < 40; number += 1) {
    term *= (x / (2 * number)) ** 2;
    sum += term;
  }
  return sum;
}

/** Half of a sinc with a Kaiser window. */
const KERNEL = Float64Array.from({ length: ZEROS * FINE + 2 }, (_, number) => {
  const at = number / FINE;
  if (at >= ZEROS) return 0;
  const sinc = at === 0 ? 1 : Math.sin(Math.PI * at) / (Math.PI * at);
  return (sinc * bessel(KAISER * Math.sqrt(1 - (at / ZEROS) ** 2))) / bessel(KAISER);
});
