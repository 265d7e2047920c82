// The part of a song that waveforms show: zoomed in, it follows the position.

const MOST = 64; // times zoomed in
const SHORTEST = 1; // seconds shown
const PAGE = 0.9; // share of the view after which it turns

export class View {
  factor = 1;
  start = 0;
  #length;
  #changed;

  /** `length()` is the length of the song in seconds; `changed()` is called after a change. */
  constructor(length, changed) {
    this.#length = length;
    this.#changed = changed;
  }

  /** Seconds shown. */
  get seconds() {
    return this.#length() / this.factor;
  }

  get end() {
    return this.start + this.seconds;
  }

  get isWhole() {
    return this.factor === 1;
  }

  /** The place of a time as a share of the view: 0 is its start, 1 its end. */
  share(seconds) {
    return (seconds - this.start) / this.seconds;
  }

  /** The time at a share of the view. */
  at(share) {
    return this.start + Math.min(Math.max(share, 0), 1) * this.seconds;
  }

  /** Zoom by a factor; the time `around` stays at its place. */
  zoom(by, around) {
    const most = Math.max(Math.min(MOST, this.#length() / SHORTEST), 1);
    const factor = Math.min(Math.max(this.factor * by, 1), most);
    const share = Math.min(Math.max(this.share(around), 0), 1);
    this.factor = factor;
    this.move(around - share * this.seconds);
  }

  /** Show from `start` on. */
  move(start) {
    this.start = Math.min(Math.max(start, 0), this.#length() - this.seconds);
    this.#changed();
  }

  /** Show a time that is not in the view; while playing, turn the page before its end. */
  follow(seconds, isPlaying) {
    if (this.isWhole) return;
    const share = this.share(seconds);
    if (share < 0 || share > 1 || (isPlaying && share > PAGE && this.end < this.#length() - 1e-6)) {
      this.move(seconds - 0.1 * this.seconds);
    }
  }
}
