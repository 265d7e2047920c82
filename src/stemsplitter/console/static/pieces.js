// Plays previews while they load: the pieces of all stems are scheduled together, on whole samples of the clock of the
// audio context, so that the stems stay in sync to the sample. Memory use does not depend on the length of the song.
import { AHEAD, Engine } from "./engine.js";

const WATCH = 200; // milliseconds
const SCHEDULED = 4; // seconds of sound scheduled in advance
const READ_AHEAD = 12; // pieces

export class PieceEngine extends Engine {
  #previews;
  #parts = []; // scheduled parts of pieces: { from, to, at, nodes }, in frames of the song and of the clock
  #next = null; // where scheduling continues: { from, at }
  #rest = 0; // position in seconds while nothing sounds
  #timer = null;
  #run = 0; // identifies a start: what loads for an earlier one is ignored
  #scheduling = false;

  constructor(context, previews, faders) {
    super(context, faders);
    this.#previews = previews;
    this.duration = previews.samples / previews.sampleRate;
    for (const name of previews.names) this.addStrip(name);
  }

  get #rate() {
    return this.#previews.sampleRate;
  }

  /** True while playback waits for pieces. */
  get waiting() {
    return this.playing && this.#parts.length === 0;
  }

  get position() {
    if (!this.playing || !this.#parts.length) return this.#rest;
    return this.#frame(this.context.currentTime * this.context.sampleRate) / this.#rate;
  }

  /** The position of each stem. */
  positions() {
    const now = this.position;
    return Object.fromEntries(this.#previews.names.map((name) => [name, now]));
  }

  /** The frame of the song that sounds at a frame of the clock. */
  #frame(now) {
    const part = this.#parts.find(({ at, from, to }) => now < at + to - from) ?? this.#parts.at(-1);
    return Math.min(part.from + Math.max(0, now - part.at), part.to);
  }

  async play() {
    if (this.playing) return;
    if (this.context.state === "suspended" && this.context instanceof AudioContext) await this.context.resume();
    if (this.#rest >= this.duration) this.#rest = 0;
    this.setPlaying(true);
    this.#timer = setInterval(() => this.#watch(), WATCH);
    this.#start(this.#rest);
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

  #start(seconds) {
    this.#silence();
    const { loop } = this;
    this.#rest = loop && seconds >= loop.end ? loop.start : seconds;
    this.#next = { from: Math.round(this.#rest * this.#rate), at: null };
    this.#watch();
  }

  #silence() {
    this.#run += 1;
    this.#scheduling = false;
    for (const { nodes } of this.#parts) {
      for (const node of nodes) {
        node.stop();
        node.disconnect();
      }
    }
    this.#parts = [];
    this.#next = null;
  }

  #load(from) {
    const first = Math.floor(from / this.#previews.pieceSamples);
    this.#previews.want(first, first + READ_AHEAD);
  }

  /** Forget what has sounded, schedule what follows, and end at the end of the song. */
  #watch() {
    const now = this.context.currentTime * this.context.sampleRate;
    while (this.#parts.length > 1 && now >= this.#parts[1].at) this.#parts.shift();
    const last = this.#parts.at(-1);
    if (last && last.to >= this.#previews.samples && !this.#next && now >= last.at + last.to - last.from) {
      this.pause();
      this.#rest = 0;
      this.dispatchEvent(new Event("end"));
      return;
    }
    this.#schedule();
  }

  async #schedule() {
    if (this.#scheduling || !this.#next) return;
    const run = this.#run;
    this.#scheduling = true;
    try {
      while (this.#next && this.#isDue()) {
        const { from } = this.#next;
        this.#load(from);
        const stems = await this.#previews.piece(Math.floor(from / this.#previews.pieceSamples));
        if (run !== this.#run) return;
        this.#add(stems);
      }
    } catch (error) {
      if (run !== this.#run) return;
      this.pause();
      this.dispatchEvent(new CustomEvent("error", { detail: error }));
    } finally {
      if (run === this.#run) this.#scheduling = false;
    }
  }

  #isDue() {
    const { at } = this.#next;
    return at === null || at / this.context.sampleRate < this.context.currentTime + SCHEDULED;
  }

  /** Schedule the next part of a piece: to the end of the piece, the loop or the song. */
  #add(stems) {
    const { sampleRate, currentTime } = this.context;
    const { from } = this.#next;
    const earliest = Math.ceil((currentTime + AHEAD) * sampleRate);
    // a piece that came too late starts when it can: playback has waited
    const isLate = this.#next.at !== null && this.#next.at < Math.floor(currentTime * sampleRate);
    const at = this.#next.at === null || isLate ? earliest : this.#next.at;
    const { pieceSamples, samples } = this.#previews;
    const start = Math.floor(from / pieceSamples) * pieceSamples;
    const loopEnd = this.loop ? Math.round(this.loop.end * this.#rate) : Infinity;
    const pieceEnd = Math.min(start + pieceSamples, samples);
    const to = from < loopEnd ? Math.min(pieceEnd, loopEnd) : pieceEnd;
    const nodes = [...stems].map(([name, buffer]) => {
      const node = new AudioBufferSourceNode(this.context, { buffer });
      node.connect(this.strips.get(name).panner);
      node.start(at / sampleRate, (from - start) / this.#rate);
      if (to < pieceEnd) node.stop((at + to - from) / sampleRate);
      return node;
    });
    this.#parts.push({ from, to, at, nodes });
    const following = to === loopEnd ? Math.round(this.loop.start * this.#rate) : to;
    this.#next = following < samples ? { from: following, at: at + to - from } : null;
    if (this.#parts.length === 1) this.dispatchEvent(new Event("change"));
  }
}
