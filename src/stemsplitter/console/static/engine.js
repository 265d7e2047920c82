// Plays the stems of a song in sync. Three engines with one interface:
//   PieceEngine    previews, decoded piece by piece while they load (pieces.js): sample accurate
//   BufferEngine   decoded stems, scheduled on the clock of the audio context: sample accurate
//   ElementEngine  <audio> elements, for songs too long to decode: in sync to a few hundredths of a second
//
// `position`, `duration` and loops are in seconds. Both dispatch the events "end" and "change" (playing or not).

import { LoadError, load, within } from "./loading.js";
import { _ } from "./texts.js";

// seconds between the request to start and the sound, in which every stem is scheduled
export const AHEAD = 0.05;
const GLIDE = 0.012; // seconds in which a gain reaches its target: a jump would click
const DRIFT = 0.04; // largest offset in seconds of an element before it is corrected
const WATCH = 100; // milliseconds
const STARTING = 4; // seconds in which the browser starts the clock
const [SUMMED, METERED] = [2048, 1024]; // samples of which the peak is shown

/** The frame of the clock at which sound begins, at its time `when` or soon. */
export const firstFrame = ({ currentTime, sampleRate }, when = 0) => Math.ceil(Math.max(currentTime + AHEAD, when) * sampleRate);

/** The browser does not play sound. */
export class SoundError extends Error {
  constructor() {
    super(_("The browser has not started the sound. Check the sound output of this device and press Play again."));
  }
}

export class Engine extends EventTarget {
  speed = 1;
  semitones = 0;
  canStretch = false; // other speeds and pitches, clicks on the beats
  #samples = new Float32Array(SUMMED);

  constructor(context, faders) {
    super();
    this.context = context;
    this.faders = faders;
    this.loop = null;
    this.playing = false;
    this.strips = new Map();
    this.master = new AnalyserNode(context, { fftSize: SUMMED });
    this.volume = new GainNode(context);
    this.master.connect(this.volume).connect(context.destination);
  }

  /** Start the clock. Rejects with a SoundError if the browser does not, for which `resume` of contexts just waits. */
  async start() {
    if (this.context.state === "running" || !(this.context instanceof AudioContext)) return;
    const failed = new SoundError();
    const resumed = this.context.resume().catch(() => {
      throw failed;
    });
    await within(STARTING, resumed, failed);
  }

  /** Connect a stem to the sum: pan, then gain. Mono counts as two equal channels, as in the server's mix. */
  addStrip(name, source = null) {
    const panner = new StereoPannerNode(this.context, {
      pan: this.faders.get(name).pan,
      channelCount: 2,
      channelCountMode: "explicit",
    });
    const gain = new GainNode(this.context, { gain: this.faders.amplitude(name) });
    const meter = new AnalyserNode(this.context, { fftSize: METERED });
    panner.connect(gain).connect(this.master);
    gain.connect(meter);
    source?.connect(panner);
    this.strips.set(name, { panner, gain, meter });
  }

  /** Apply the settings of the faders. */
  apply() {
    const now = this.context.currentTime;
    for (const [name, { panner, gain }] of this.strips) {
      gain.gain.setTargetAtTime(this.faders.amplitude(name), now, GLIDE);
      panner.pan.setTargetAtTime(this.faders.get(name).pan, now, GLIDE);
    }
  }

  /** Set the volume, 0 to 1. The mix on the server does not have it. */
  setVolume(volume) {
    this.volume.gain.setTargetAtTime(volume, this.context.currentTime, GLIDE);
  }

  setTempo(speed, semitones) {
    Object.assign(this, { speed, semitones });
  }

  /** The current peak of the sum, or of a stem; 1 is full scale. */
  level(name = null) {
    const meter = name === null ? this.master : this.strips.get(name).meter;
    const samples = this.#samples.subarray(0, meter.fftSize);
    meter.getFloatTimeDomainData(samples);
    return samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  }

  /** Repeat from `start` to `end`; `null` ends the loop. */
  setLoop(loop) {
    this.loop = loop && loop.end > loop.start ? loop : null;
  }

  setPlaying(playing) {
    this.playing = playing;
    this.dispatchEvent(new Event("change"));
  }
}

export class BufferEngine extends Engine {
  #buffers;
  #sources = new Map(); // name → { node, when, offset }
  #rest = 0; // position while paused

  /** `buffers` maps names to AudioBuffers. Tests use an OfflineAudioContext. */
  constructor(context, buffers, faders) {
    super(context, faders);
    this.#buffers = buffers;
    this.duration = Math.max(...[...buffers.values()].map((buffer) => buffer.duration));
    for (const name of buffers.keys()) this.addStrip(name);
  }

  get position() {
    if (!this.playing) return this.#rest;
    return this.#at(this.#sources.values().next().value, this.context.currentTime);
  }

  /** The position of each stem, from its own start. */
  positions() {
    const now = this.context.currentTime; // read once: the clock moves during the loop
    return Object.fromEntries([...this.#buffers.keys()].map((name) => {
      const source = this.#sources.get(name);
      return [name, source ? this.#at(source, now) : this.#rest];
    }));
  }

  #at({ when, offset }, now) {
    const at = offset + Math.max(0, now - when);
    if (!this.loop || at < this.loop.end) return Math.min(at, this.duration);
    const { start, end } = this.loop;
    return start + ((at - start) % (end - start));
  }

  async play() {
    if (this.playing) return;
    await this.start();
    if (this.playing) return;
    this.#start(this.#rest >= this.duration ? 0 : this.#rest);
    this.setPlaying(true);
  }

  pause() {
    if (!this.playing) return;
    this.#rest = this.position;
    this.#silence();
    this.setPlaying(false);
  }

  seek(seconds) {
    this.#rest = Math.min(Math.max(seconds, 0), this.duration);
    if (this.playing) this.#start(this.#rest);
  }

  setLoop(loop) {
    const at = this.position;
    super.setLoop(loop);
    if (this.playing) this.#start(at);
  }

  #start(from) {
    this.#silence();
    const offset = this.loop && from >= this.loop.end ? this.loop.start : from;
    const when = this.context.currentTime + AHEAD; // the same for all stems
    for (const [name, buffer] of this.#buffers) {
      const node = new AudioBufferSourceNode(this.context, { buffer });
      if (this.loop) {
        Object.assign(node, { loop: true, loopStart: this.loop.start, loopEnd: this.loop.end });
      }
      node.connect(this.strips.get(name).panner);
      node.start(when, offset);
      this.#sources.set(name, { node, when, offset });
    }
    const last = [...this.#buffers].reduce((one, other) => (other[1].duration > one[1].duration ? other : one))[0];
    this.#sources.get(last).node.onended = () => this.#ended();
  }

  #ended() {
    this.#silence();
    this.#rest = 0;
    this.setPlaying(false);
    this.dispatchEvent(new Event("end"));
  }

  #silence() {
    for (const { node } of this.#sources.values()) {
      node.onended = null;
      node.stop();
      node.disconnect();
    }
    this.#sources.clear();
  }
}

export class ElementEngine extends Engine {
  #elements = new Map();
  #timer = null;

  /** `urls` maps names to URLs. */
  constructor(context, urls, faders, duration) {
    super(context, faders);
    this.duration = duration;
    for (const [name, url] of urls) {
      const element = new Audio(url);
      element.preload = "auto";
      element.addEventListener("error", () => this.#failed());
      this.addStrip(name, new MediaElementAudioSourceNode(context, { mediaElement: element }));
      this.#elements.set(name, element);
    }
    this.#leader.addEventListener("ended", () => this.#ended());
  }

  get #leader() {
    return this.#elements.values().next().value;
  }

  get position() {
    return this.#leader.currentTime;
  }

  positions() {
    return Object.fromEntries([...this.#elements].map(([name, element]) => [name, element.currentTime]));
  }

  async play() {
    await this.start();
    await Promise.all([...this.#elements.values()].map(begin));
    this.#timer ??= setInterval(() => this.#watch(), WATCH);
    this.setPlaying(true);
  }

  pause() {
    for (const element of this.#elements.values()) element.pause();
    clearInterval(this.#timer);
    this.#timer = null;
    this.setPlaying(false);
  }

  seek(seconds) {
    const at = Math.min(Math.max(seconds, 0), this.duration);
    for (const element of this.#elements.values()) element.currentTime = at;
  }

  #watch() {
    const at = this.position;
    if (this.loop && at >= this.loop.end) {
      this.seek(this.loop.start);
      return;
    }
    for (const element of this.#elements.values()) {
      if (Math.abs(element.currentTime - at) > DRIFT && !element.seeking) element.currentTime = at;
    }
  }

  #failed() {
    if (!this.playing) return; // play() rejects
    this.pause();
    this.dispatchEvent(new CustomEvent("error", { detail: streamError() }));
  }

  #ended() {
    this.pause();
    this.seek(0);
    this.dispatchEvent(new Event("end"));
  }
}

const streamError = () => new LoadError(_("The stems cannot be loaded. Check your connection and press Play again."));

/** Play an element, which loads again after an error. */
async function begin(element) {
  if (element.error) {
    const at = element.currentTime;
    element.load();
    element.currentTime = at;
  }
  try {
    await element.play();
  } catch (error) {
    throw error.name === "NotAllowedError" ? new SoundError() : streamError();
  }
}

/** Fetch and decode stems one after the other. `urls` maps names to URLs; `onProgress` receives the number done. */
export async function decodeStems(context, urls, onProgress) {
  const buffers = new Map();
  for (const [name, url] of urls) {
    const { data } = await load(url);
    buffers.set(name, await context.decodeAudioData(data));
    onProgress(buffers.size);
  }
  return buffers;
}
