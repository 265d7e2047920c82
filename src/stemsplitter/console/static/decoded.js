// A song that this browser decodes, as pieces for the engine of previews.
import { excerpt } from "./previews.js";
import { _ } from "./texts.js";

export const RATE = 48000; // to which it is resampled
const [SECONDS, MOST] = [2, 20 * 60]; // of a piece and of a song
const NAME = "song";

export class DecodedSong {
  names = [NAME];
  sampleRate = RATE;
  pieceSamples = SECONDS * RATE;
  #buffer;

  /** Decode the bytes of a file. Rejects if this browser cannot. */
  static async decode(bytes) {
    const buffer = await new OfflineAudioContext(2, 1, RATE).decodeAudioData(bytes);
    if (buffer.duration > MOST) throw new Error(_("This song is too long for a preview."));
    return new DecodedSong(buffer);
  }

  constructor(buffer) {
    this.#buffer = buffer;
    this.samples = buffer.length;
  }

  want() {}

  async piece(number) {
    const from = number * this.pieceSamples;
    const length = Math.min(this.pieceSamples, this.samples - from);
    return new Map([[NAME, excerpt(this.#buffer, from, length)]]);
  }

  /** Its peaks, as those of a split, `perSecond` of them. */
  peaks(perSecond = 50) {
    const size = Math.round(RATE / perSecond);
    const points = new Int8Array(2 * Math.ceil(this.samples / size));
    for (let channel = 0; channel < this.#buffer.numberOfChannels; channel += 1) {
      const samples = this.#buffer.getChannelData(channel);
      for (let at = 0; at < samples.length; at += 1) {
        const point = 2 * Math.floor(at / size);
        const value = Math.round(127 * Math.min(Math.max(samples[at], -1), 1));
        if (value < points[point]) points[point] = value;
        if (value > points[point + 1]) points[point + 1] = value;
      }
    }
    const loudest = points.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    return { sampleRate: RATE, duration: this.samples / RATE, points: { [NAME]: points }, loudest };
  }
}
