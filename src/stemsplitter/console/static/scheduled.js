// Plays parts of stems as they are: schedules them on whole samples of the clock of the audio context, so that the stems
// stay in sync to the sample.
import { firstFrame } from "./engine.js";

const SCHEDULED = 4; // seconds of sound scheduled in advance

export class ScheduledOutput {
  #context;
  #strips;
  #rate;
  #parts = []; // { from, to, at, nodes }, in frames of the song and of the clock
  #next = null; // frame of the clock at which the next part begins, null until one was added
  #earliest = 0;
  #isFinished = false;

  constructor(context, strips, rate) {
    this.#context = context;
    this.#strips = strips;
    this.#rate = rate;
  }

  get #now() {
    return this.#context.currentTime * this.#context.sampleRate;
  }

  /** Begin at the time `when` of the clock or soon, with the part that is added next. */
  start(when) {
    this.clear();
    this.#earliest = firstFrame(this.#context, when);
  }

  clear() {
    for (const { nodes } of this.#parts) {
      for (const node of nodes) {
        node.stop();
        node.disconnect();
      }
    }
    this.#parts = [];
    this.#next = null;
    this.#isFinished = false;
  }

  /** True until something was added, and while what follows is late. */
  get isEmpty() {
    return this.#parts.length === 0 || (!this.#isFinished && this.#now >= this.#next);
  }

  get isDue() {
    const { currentTime, sampleRate } = this.#context;
    return this.#next === null || this.#next / sampleRate < currentTime + SCHEDULED;
  }

  /** True once everything has sounded. */
  get hasEnded() {
    return this.#isFinished && this.#now >= this.#next;
  }

  /** Add frames `from` to `to` of the song; `stems` are buffers that begin at `start`. */
  add(stems, start, from, to) {
    const { sampleRate, currentTime } = this.#context;
    const soon = firstFrame(this.#context);
    // a part that came too late starts when it can: playback has waited
    const isLate = this.#next !== null && this.#next < Math.floor(currentTime * sampleRate);
    const at = this.#next === null ? Math.max(this.#earliest, soon) : isLate ? soon : this.#next;
    const nodes = [...stems].map(([name, buffer]) => {
      const node = new AudioBufferSourceNode(this.#context, { buffer });
      node.connect(this.#strips.get(name).panner);
      node.start(at / sampleRate, (from - start) / this.#rate);
      if (to - start < buffer.length) node.stop((at + to - from) / sampleRate);
      return node;
    });
    this.#parts.push({ from, to, at, nodes });
    this.#next = at + to - from;
  }

  /** Nothing follows. */
  finish() {
    this.#isFinished = true;
  }

  /** The frame of the song that sounds, null if none has been added. */
  get frame() {
    if (!this.#parts.length) return null;
    const now = this.#now;
    while (this.#parts.length > 1 && now >= this.#parts[1].at) this.#parts.shift();
    const [part] = this.#parts;
    return Math.min(part.from + Math.max(0, now - part.at), part.to);
  }

  /** The time of the clock at which a frame of the song sounds, if it does before the next jump. */
  clockAt(frame) {
    if (!this.#parts.length) return null;
    const [{ at, from }] = this.#parts;
    return (at + frame - from) / this.#context.sampleRate;
  }
}
