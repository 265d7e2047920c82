// The lane of chords above the waveforms, and the chord at the position.
import { transposedChord } from "./keys.js";

const LEAST = 22; // pixels that a name needs

export class Chords {
  #list;
  #now;
  #chords;
  #view;
  #wave;
  #semitones = 0;
  #shown = -1;

  constructor(form, view) {
    this.#list = form.querySelector("[data-chords]");
    this.#now = form.querySelector("[data-chord-now]");
    this.#wave = form.querySelector("[data-wave]");
    this.#view = view;
    this.#chords = [...(this.#list?.children ?? [])].map((item) => ({
      item,
      name: item.textContent,
      start: Number(item.dataset.start),
      end: Number(item.dataset.end),
    }));
    if (this.#list) new ResizeObserver(() => this.change()).observe(this.#wave);
  }

  /** Show the names after a transposition. */
  transpose(semitones) {
    this.#semitones = semitones;
    this.#shown = -1;
    this.change();
  }

  /** Draw the part of the song in the view. */
  change() {
    if (!this.#list) return;
    const width = this.#wave.clientWidth;
    this.#list.style.width = `${width}px`;
    for (const { item, name, start, end } of this.#chords) {
      const from = Math.max(this.#view.share(start), 0);
      const to = Math.min(this.#view.share(end), 1);
      item.hidden = to <= from;
      item.style.left = `${100 * from}%`;
      item.style.width = `${100 * (to - from)}%`;
      item.textContent = (to - from) * width < LEAST ? "" : transposedChord(name, this.#semitones);
    }
  }

  /** Show the chord at a time. */
  show(seconds) {
    const at = this.#chords.findIndex(({ start, end }) => seconds >= start && seconds < end);
    if (!this.#list || at === this.#shown) return;
    this.#chords[this.#shown]?.item.classList.remove("now");
    this.#chords[at]?.item.classList.add("now");
    this.#now.textContent = at < 0 ? "–" : transposedChord(this.#chords[at].name, this.#semitones);
    this.#shown = at;
  }
}
