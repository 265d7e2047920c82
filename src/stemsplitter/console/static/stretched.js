// Plays parts of stems at another speed or pitch: an audio worklet stretches them, see stretcher.js.
import { firstFrame } from "./engine.js";
import { within } from "./loading.js";
import { _ } from "./texts.js";

const LOADING = 10; // seconds that the script takes at most
const FED = 2; // seconds of the song that the worklet has in advance

export class StretchedOutput {
  #context;
  #node;
  #names;
  #rate;
  #run = 0;
  #parts = []; // what the worklet has: { from, to, at }, in frames of the song and of what was sent
  #sent = 0;
  #report = null;
  #speed = 1;

  /**
   * Load the worklet. `strips` maps the names of the stems to their inputs; `rate` is their sample rate. `failed()` is
   * called if it ends with an error, after which it is silent.
   */
  static async open(context, strips, rate, failed) {
    if (!context.audioWorklet) throw new Error(_("Speed and pitch need a secure connection: open this page with https."));
    const late = new Error(_("The browser has not loaded the script for speed and pitch. Change one of them to try again."));
    await within(LOADING, context.audioWorklet.addModule(new URL("stretch_worklet.js", import.meta.url)), late);
    return new StretchedOutput(context, strips, rate, failed);
  }

  constructor(context, strips, rate, failed) {
    this.#context = context;
    this.#names = [...strips.keys()];
    this.#rate = rate;
    const count = this.#names.length;
    this.#node = new AudioWorkletNode(context, "stretch", {
      numberOfInputs: 0,
      numberOfOutputs: count,
      outputChannelCount: Array(count).fill(2),
      processorOptions: { drums: this.#names.map((name) => name === "drums") },
    });
    [...strips.values()].forEach(({ panner }, number) => this.#node.connect(panner, number));
    this.#node.onprocessorerror = failed;
    this.#node.port.onmessage = ({ data }) => (this.#report = data);
  }

  /** Blocks that came too late since the page was opened. */
  get underruns() {
    return this.#report?.underruns ?? 0;
  }

  /** Set the speed, 1 being that of the song, and the pitch in semitones. */
  set(speed, semitones) {
    this.#speed = speed;
    this.#node.port.postMessage({ set: { speed, semitones } });
  }

  /** Begin at the time `when` of the clock or soon, with the part that is added next. */
  start(when) {
    this.clear();
    this.#node.port.postMessage({ run: this.#run, start: firstFrame(this.#context, when) });
  }

  clear() {
    this.#run += 1;
    this.#parts = [];
    this.#sent = 0;
    this.#report = this.#report && { ...this.#report, run: 0 };
    this.#node.port.postMessage({ run: this.#run, start: Infinity });
  }

  get #isKnown() {
    return this.#report?.run === this.#run;
  }

  /** True until something sounds. */
  get isEmpty() {
    return !this.#isKnown || !this.#report.sounds;
  }

  get isDue() {
    const place = this.#isKnown ? this.#report.place : 0;
    return this.#sent - place < FED * this.#rate;
  }

  /** True once everything has sounded. */
  get hasEnded() {
    return this.#isKnown && this.#report.isFinished;
  }

  /** Add frames `from` to `to` of the song; `stems` are buffers that begin at `start`. */
  add(stems, start, from, to) {
    const push = this.#names.map((name) => {
      const buffer = stems.get(name);
      return Array.from({ length: buffer.numberOfChannels }, (_, channel) => {
        return buffer.getChannelData(channel).slice(from - start, to - start);
      });
    });
    const buffers = push.flat().map((samples) => samples.buffer);
    this.#node.port.postMessage({ run: this.#run, push }, buffers);
    this.#parts.push({ from, to, at: this.#sent });
    this.#sent += to - from;
  }

  /** Nothing follows. */
  finish() {
    this.#node.port.postMessage({ run: this.#run, finish: true });
  }

  /** The frame of the song that sounds, null if none has been added. */
  get frame() {
    if (!this.#parts.length) return null;
    if (!this.#isKnown) return this.#parts[0].from;
    const { place, frame, sounds } = this.#report;
    const since = this.#context.currentTime * this.#context.sampleRate - frame;
    const now = place + (sounds ? Math.max(since, 0) * this.#speed : 0);
    while (this.#parts.length > 1 && now >= this.#parts[1].at) this.#parts.shift();
    const [part] = this.#parts;
    return Math.min(part.from + Math.max(now - part.at, 0), part.to);
  }

  /** The time of the clock at which a frame of the song sounds, if it does before the next jump. */
  clockAt(frame) {
    return this.#context.currentTime + (frame - this.frame) / this.#speed / this.#context.sampleRate;
  }
}
