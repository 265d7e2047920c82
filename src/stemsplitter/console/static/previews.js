// Previews of the stems: small files of independent pieces of two seconds, loaded piece by piece with range requests.
// Each piece decodes to the exact number of samples, so that the stems of a piece can be scheduled together.

import { LoadError, load, loadJson, within } from "./loading.js";
import { _ } from "./texts.js";

const RUN = 4; // most pieces in a request
const KEPT = 24; // decoded pieces in memory: six stereo stems need 4.6 MB each
const DECODING = 30; // seconds that a piece takes at most

/** The codec of previews that this browser decodes: Safari before 18.4 has no Opus in Ogg. */
export const previewCodec = () => (new Audio().canPlayType('audio/ogg; codecs="opus"') ? "opus" : "aac");

export class Previews {
  #index;
  #base;
  #context;
  #offsets; // name → start of each piece in the file
  #pieces = new Map(); // number → Map of AudioBuffers
  #wanted = [0, 0]; // the pieces to load, and keep
  #run = null; // the load in progress

  /** `base` is the URL of the folder that contains the index and the files; `context` decodes. */
  static async open(base, context) {
    return new Previews(base, await loadJson(`${base}/previews.json`), context);
  }

  constructor(base, index, context) {
    this.#base = base;
    this.#index = index;
    this.#context = context;
    this.#offsets = new Map(Object.entries(index.stems).map(([name, { sizes }]) => {
      let at = 0;
      return [name, [0, ...sizes.map((size) => (at += size))]];
    }));
  }

  get names() {
    return [...this.#offsets.keys()];
  }

  get sampleRate() {
    return this.#index.sampleRate;
  }

  /** Length in samples. */
  get samples() {
    return this.#index.samples;
  }

  /** Length of a piece in samples. */
  get pieceSamples() {
    return this.#index.pieceSamples;
  }

  get count() {
    return Math.ceil(this.samples / this.pieceSamples);
  }

  /** Load the pieces from `first` to before `end` in order; a load of others that is in progress is ended. */
  want(first, end) {
    this.#wanted = [Math.max(first, 0), Math.min(end, this.count)];
    const run = this.#run;
    if (run && (run.end <= first || run.first >= end)) run.abort();
    this.#loadNext();
  }

  /** The decoded stems of a piece, by name: a Map of AudioBuffers. */
  async piece(number) {
    while (!this.#pieces.has(number)) {
      if (number < this.#wanted[0] || number >= this.#wanted[1]) this.want(number, number + RUN);
      this.#loadNext();
      const { done } = this.#run;
      await done;
    }
    return this.#pieces.get(number);
  }

  #loadNext() {
    if (this.#run) return;
    const [wanted, last] = this.#wanted;
    let first = wanted;
    while (first < last && this.#pieces.has(first)) first += 1;
    if (first >= last) return;
    // the piece that is needed first comes alone, so that the sound starts early
    let end = first + 1;
    while (first > wanted && end < last && end < first + RUN && !this.#pieces.has(end)) end += 1;
    const stop = new AbortController();
    const run = { first, end, abort: () => stop.abort() };
    this.#run = run;
    run.done = this.#load(first, end, stop.signal).finally(() => {
      this.#run = null;
    });
    run.done.then(() => this.#loadNext(), () => {}); // whoever needs a piece that failed tries again
  }

  async #load(first, end, signal) {
    try {
      const found = await Promise.all(this.names.map(async (name) => [name, await this.#fetch(name, first, end, signal)]));
      for (let number = first; number < end; number += 1) {
        this.#pieces.set(number, await this.#decode(found, number, number - first));
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    this.#forget();
  }

  #forget() {
    const [first, end] = this.#wanted;
    for (const number of this.#pieces.keys()) {
      if (this.#pieces.size <= KEPT) return;
      if (number < first - 1 || number >= end) this.#pieces.delete(number);
    }
  }

  async #fetch(name, first, end, signal) {
    const offsets = this.#offsets.get(name);
    const headers = { Range: `bytes=${offsets[first]}-${offsets[end] - 1}` };
    const { status, data } = await load(`${this.#base}/${this.#index.stems[name].file}`, { headers, signal });
    const from = status === 206 ? offsets[first] : 0; // a proxy may ignore the range
    return Array.from({ length: end - first }, (_, at) =>
      data.slice(offsets[first + at] - from, offsets[first + at + 1] - from));
  }

  async #decode(found, number, at) {
    const length = Math.min(this.pieceSamples, this.samples - number * this.pieceSamples);
    const decoded = found.map(async ([name, parts]) => {
      const late = new LoadError(_("This browser is too busy to decode the song. Press Play again."));
      const buffer = await within(DECODING, this.#context.decodeAudioData(parts[at]), late);
      return [name, exact(buffer, length, this.#index.delay)];
    });
    return new Map(await Promise.all(decoded));
  }
}

/** The `length` samples of a piece. A decoder that ignores the header returns `delay` samples before them, too. */
export function exact(buffer, length, delay) {
  if (buffer.length === length) return buffer;
  return excerpt(buffer, buffer.length >= length + delay ? delay : 0, length);
}

/** A copy of the `length` samples of a buffer that begin at `from`. */
export function excerpt(buffer, from, length) {
  const { numberOfChannels, sampleRate } = buffer;
  const cut = new AudioBuffer({ length, numberOfChannels, sampleRate });
  for (let channel = 0; channel < numberOfChannels; channel += 1) {
    cut.copyToChannel(buffer.getChannelData(channel).subarray(from, from + length), channel);
  }
  return cut;
}
