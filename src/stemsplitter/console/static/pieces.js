// Plays previews while they load: the pieces of all stems go together to an output, at the speed of the song or another.
// Memory use does not depend on the length of the song.
import { Engine } from "./engine.js";
import { ScheduledOutput } from "./scheduled.js";

const WATCH = 200; // milliseconds
const READ_AHEAD = 12; // pieces

export class PieceEngine extends Engine {
  canStretch = true;
  #previews;
  #scheduled;
  #stretched = null; // a promise of the output at other speeds, once it is needed
  #output; // the one that plays
  #next = null; // frame of the song where the output continues
  #rest = 0; // position in seconds while nothing sounds
  #timer = null;
  #run = 0; // identifies a start: what loads for an earlier one is ignored
  #adding = false;

  constructor(context, previews, faders) {
    super(context, faders);
    this.#previews = previews;
    this.duration = previews.samples / previews.sampleRate;
    for (const name of previews.names) this.addStrip(name);
    this.#scheduled = new ScheduledOutput(context, this.strips, previews.sampleRate);
    this.#output = this.#scheduled;
  }

  get #rate() {
    return this.#previews.sampleRate;
  }

  /** True while playback waits for pieces, at the start or later. */
  get waiting() {
    return this.playing && this.#output.isEmpty;
  }

  /** Blocks of stretched sound that came too late. */
  get underruns() {
    return this.#output.underruns ?? 0;
  }

  get position() {
    const frame = this.playing ? this.#output.frame : null;
    return frame === null ? this.#rest : frame / this.#rate;
  }

  /** The time of the clock at which a time of the song sounds, if it does before the next jump. */
  clockAt(seconds) {
    return this.#output.clockAt(seconds * this.#rate);
  }

  /** The position of each stem. */
  positions() {
    const now = this.position;
    return Object.fromEntries(this.#previews.names.map((name) => [name, now]));
  }

  /** Play from the position, at the time `when` of the clock or soon. */
  async play(when = 0) {
    if (this.playing) return;
    await this.start();
    if (this.playing) return;
    if (this.#rest >= this.duration) this.#rest = 0;
    this.setPlaying(true);
    this.#timer = setInterval(() => this.#watch(), WATCH);
    this.#start(this.#rest, when);
  }

  pause() {
    if (!this.playing) return;
    this.#rest = this.position;
    this.#silence();
    clearInterval(this.#timer);
    this.setPlaying(false);
  }

  seek(seconds) {
    this.#rest = Math.min(Math.max(seconds, 0), this.duration);
    if (this.playing) this.#start(this.#rest);
    else this.#load(Math.round(this.#rest * this.#rate));
  }

  setLoop(loop) {
    const at = this.position;
    super.setLoop(loop);
    if (this.playing) this.#start(at);
  }

  /** Set the speed, 1 being that of the song, and the pitch in semitones. Rejects if this browser cannot. */
  async setTempo(speed, semitones) {
    super.setTempo(speed, semitones);
    const isOther = speed !== 1 || semitones !== 0;
    if (isOther) this.#stretched ??= this.#openStretched();
    const output = isOther ? await this.#stretched : this.#scheduled;
    if (this.speed !== speed || this.semitones !== semitones) return; // changed meanwhile
    output.set?.(speed, semitones);
    if (output === this.#output) return;
    const at = this.position;
    this.#silence();
    this.#output = output;
    if (this.playing) this.#start(at);
  }

  async #openStretched() {
    try {
      const { StretchedOutput } = await import("./stretched.js");
      const failed = () => this.dispatchEvent(new Event("unstretchable"));
      return await StretchedOutput.open(this.context, this.strips, this.#rate, failed);
    } catch (error) {
      this.#stretched = null; // try again on the next change
      throw error;
    }
  }

  #start(seconds, when = 0) {
    this.#silence();
    const { loop } = this;
    this.#rest = loop && seconds >= loop.end ? loop.start : seconds;
    this.#next = Math.round(this.#rest * this.#rate);
    this.#output.start(when);
    if (this.#next >= this.#previews.samples) this.#finish();
    this.#watch();
  }

  #silence() {
    this.#run += 1;
    this.#adding = false;
    this.#output.clear();
    this.#next = null;
  }

  #load(from) {
    const first = Math.floor(from / this.#previews.pieceSamples);
    this.#previews.want(first, first + READ_AHEAD);
  }

  /** Add what follows, and end at the end of the song. */
  #watch() {
    if (this.#next === null && this.#output.hasEnded) {
      this.pause();
      this.#rest = 0;
      this.dispatchEvent(new Event("end"));
      return;
    }
    this.#add();
  }

  async #add() {
    if (this.#adding || this.#next === null) return;
    const run = this.#run;
    this.#adding = true;
    try {
      while (this.#next !== null && this.#output.isDue) {
        this.#load(this.#next);
        const stems = await this.#previews.piece(Math.floor(this.#next / this.#previews.pieceSamples));
        if (run !== this.#run) return;
        this.#addPart(stems);
      }
    } catch (error) {
      if (run !== this.#run) return;
      this.pause();
      this.dispatchEvent(new CustomEvent("error", { detail: error }));
    } finally {
      if (run === this.#run) this.#adding = false;
    }
  }

  /** Add the next part of a piece: to the end of the piece, the loop or the song. */
  #addPart(stems) {
    const from = this.#next;
    const { pieceSamples, samples } = this.#previews;
    const start = Math.floor(from / pieceSamples) * pieceSamples;
    const loopEnd = this.loop ? Math.round(this.loop.end * this.#rate) : Infinity;
    const pieceEnd = Math.min(start + pieceSamples, samples);
    const to = from < loopEnd ? Math.min(pieceEnd, loopEnd) : pieceEnd;
    const isFirst = this.#output.isEmpty;
    this.#output.add(stems, start, from, to);
    const following = to === loopEnd ? Math.round(this.loop.start * this.#rate) : to;
    this.#next = following;
    if (following >= samples) this.#finish();
    if (isFirst) this.dispatchEvent(new Event("change"));
  }

  #finish() {
    this.#next = null;
    this.#output.finish();
  }
}
