// A phase vocoder for one stereo stem: reads frames of the song at any distance and adds them up one hop apart.
//
// The method is that of the server (stemsplitter/effects/vocoder.py): identity phase locking after Laroche and Dolson
// (1999), with the phase advance over exactly one hop, so that no frequency is estimated. Left and right are the real and
// the imaginary part of one signal. Both are rotated alike, so their spectra are never separated: with Z the spectrum of
// that signal, the energy of a bin k is |Z[k]|² + |Z[-k]|², and its cross spectrum with P is Z[k] P*[k] + Z*[-k] P[-k].
import { Fft } from "./fft.js";

export const OVERLAP = 4; // a frame starts every quarter of its length
const RISE = 4; // a bin rises if its energy is this many times that of one hop before
const RISING_SHARE = 0.35; // of the energy: a frame with more has a transient

export class Vocoder {
  #fft;
  #window;
  #re;
  #im;
  #beforeRe; // spectrum of one hop before
  #beforeIm;
  #lastRe; // spectrum of the last frame
  #lastIm;
  #energy;
  #earlier; // energy of one hop before
  #turnRe; // rotation of each bin
  #turnIm;
  #nextRe;
  #nextIm;
  #peaks;

  /** `size`: samples in a frame, a power of two. */
  constructor(size) {
    this.size = size;
    this.hop = size / OVERLAP;
    this.#fft = new Fft(size);
    this.#window = Float32Array.from({ length: size }, (_, at) => 0.5 - 0.5 * Math.cos((2 * Math.PI * at) / size));
    const spectrum = () => new Float32Array(size);
    const bins = () => new Float32Array(size / 2 + 1);
    [this.#re, this.#im, this.#beforeRe, this.#beforeIm] = [spectrum(), spectrum(), spectrum(), spectrum()];
    [this.#lastRe, this.#lastIm] = [spectrum(), spectrum()];
    [this.#energy, this.#earlier] = [bins(), bins()];
    [this.#turnRe, this.#turnIm, this.#nextRe, this.#nextIm] = [bins(), bins(), bins(), bins()];
    this.#peaks = new Int32Array(size / 2 + 1);
    this.reset();
  }

  reset() {
    this.#lastRe.fill(0);
    this.#lastIm.fill(0);
    this.#turnRe.fill(1);
    this.#turnIm.fill(0);
  }

  /** Read the frame around `center` of `input`, { left, right, end } with rings, and add it to `output` around `at`. */
  frame(input, center, output, at) {
    this.#analyze(input, center - this.hop, this.#beforeRe, this.#beforeIm);
    this.#analyze(input, center, this.#re, this.#im);
    this.#measure(this.#re, this.#im, this.#energy);
    this.#measure(this.#beforeRe, this.#beforeIm, this.#earlier);
    this.#turn();
    this.#lastRe.set(this.#re);
    this.#lastIm.set(this.#im);
    this.#rotate();
    this.#fft.backward(this.#re, this.#im);
    this.#add(output, at);
  }

  #analyze({ left, right, end }, center, re, im) {
    const { size } = this;
    const window = this.#window;
    const mask = left.length - 1;
    const start = center - size / 2;
    const first = Math.min(Math.max(-start, 0), size);
    const last = Math.max(Math.min(end - start, size), first);
    re.fill(0, 0, first).fill(0, last);
    im.fill(0, 0, first).fill(0, last);
    for (let at = first; at < last; at += 1) {
      const place = (start + at) & mask;
      re[at] = window[at] * left[place];
      im[at] = window[at] * right[place];
    }
    this.#fft.forward(re, im);
  }

  #measure(re, im, energy) {
    const { size } = this;
    for (let bin = 0; bin <= size / 2; bin += 1) {
      const other = (size - bin) % size;
      energy[bin] = re[bin] * re[bin] + im[bin] * im[bin] + re[other] * re[other] + im[other] * im[other];
    }
  }

  /** Find the rotation of every bin: that of the nearest peak. */
  #turn() {
    const last = this.size / 2;
    const count = this.#findPeaks();
    const isTransient = this.#isTransient();
    let start = 0;
    for (let number = 0; number < count; number += 1) {
      const peak = this.#peaks[number];
      const end = number + 1 < count ? Math.floor((peak + this.#peaks[number + 1]) / 2) + 1 : last + 1;
      const isRising = isTransient && this.#energy[peak] > RISE * this.#earlier[peak];
      const angle = isRising ? 0 : this.#advance(peak);
      this.#nextRe.fill(Math.cos(angle), start, end);
      this.#nextIm.fill(Math.sin(angle), start, end);
      start = end;
    }
    if (!count) return; // silence keeps its rotation
    [this.#turnRe, this.#nextRe] = [this.#nextRe, this.#turnRe];
    [this.#turnIm, this.#nextIm] = [this.#nextIm, this.#turnIm];
  }

  /** A peak is above its two neighbors on each side. Returns the number of peaks. */
  #findPeaks() {
    const energy = this.#energy;
    const last = this.size / 2;
    let count = 0;
    for (let bin = 0; bin <= last; bin += 1) {
      const here = energy[bin];
      if (bin > 0 && here <= energy[bin - 1]) continue;
      if (bin > 1 && here <= energy[bin - 2]) continue;
      if (bin < last && here < energy[bin + 1]) continue;
      if (bin < last - 1 && here < energy[bin + 2]) continue;
      if (here === 0) continue;
      this.#peaks[count] = bin;
      count += 1;
    }
    return count;
  }

  #isTransient() {
    let [rising, all] = [0, 0];
    for (let bin = 0; bin < this.#energy.length; bin += 1) {
      all += this.#energy[bin];
      if (this.#energy[bin] > RISE * this.#earlier[bin]) rising += this.#energy[bin];
    }
    return rising > RISING_SHARE * all;
  }

  /** The angle of a bin: that of the last frame, and the advance of its phase over one hop. */
  #advance(bin) {
    const other = (this.size - bin) % this.size;
    const [last, lastIm, before, beforeIm] = [this.#lastRe, this.#lastIm, this.#beforeRe, this.#beforeIm];
    const re = last[bin] * before[bin] + lastIm[bin] * beforeIm[bin] + last[other] * before[other] + lastIm[other] * beforeIm[other];
    const im = lastIm[bin] * before[bin] - last[bin] * beforeIm[bin] - lastIm[other] * before[other] + last[other] * beforeIm[other];
    return Math.atan2(im, re) + Math.atan2(this.#turnIm[bin], this.#turnRe[bin]);
  }

  #rotate() {
    const { size } = this;
    const [re, im, cos, sin] = [this.#re, this.#im, this.#turnRe, this.#turnIm];
    for (let bin = 1; bin < size / 2; bin += 1) {
      const a = cos[bin];
      const b = sin[bin];
      const other = size - bin;
      let real = re[bin] * a - im[bin] * b;
      im[bin] = re[bin] * b + im[bin] * a;
      re[bin] = real;
      real = re[other] * a + im[other] * b;
      im[other] = im[other] * a - re[other] * b;
      re[other] = real;
    }
  }

  #add({ left, right }, center) {
    const { size, hop } = this;
    const [window, re, im] = [this.#window, this.#re, this.#im];
    const mask = left.length - 1;
    const start = center - size / 2;
    const scale = 1 / (size * OVERLAP * 0.375); // the overlapping squares of the windows sum to 1
    for (let at = 0; at < size; at += 1) {
      const place = (start + at) & mask;
      const gain = window[at] * scale;
      const kept = at < size - hop ? 1 : 0; // the last hop of a frame is the first sound of its place
      left[place] = kept * left[place] + gain * re[at];
      right[place] = kept * right[place] + gain * im[at];
    }
  }
}
