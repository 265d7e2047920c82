// The waveforms of all lanes: the part of the song that the view shows, with the beats.
import { drawWaveform, fetchPeaks } from "./waveform.js";

const SILENT = 0; // of 127: a stem below is not drawn
const POINTS = 1500; // that fill the page: with fewer, finer peaks are fetched
const BEAT_PIXELS = 8; // least distance of two beats that are drawn

export class Waves {
  #lanes;
  #view;
  #peaks = null;
  #fine = null;
  #fineUrl;

  /** `beats` are in seconds; `fine` is the URL of finer peaks, which the view may need. */
  constructor(lanes, view, beats, fine = "") {
    this.#lanes = lanes;
    this.#view = view;
    this.beats = beats;
    this.#fineUrl = fine;
    for (const lane of lanes) lane.querySelector("[data-wave]").addEventListener("wheel", (event) => this.#turn(event), { passive: false });
  }

  async load(url) {
    this.#peaks = await fetchPeaks(url);
    if (this.#peaks) this.#fetchFine();
  }

  set peaks(peaks) {
    this.#peaks = peaks;
  }

  /** Sample rate and length in seconds of the stems, once they are known. */
  get sampleRate() {
    return this.#peaks?.sampleRate;
  }

  get duration() {
    return this.#peaks?.duration;
  }

  draw() {
    const found = this.#fine ?? this.#peaks;
    if (!found) return;
    const { start, end } = this.#view;
    const shares = { from: start / found.duration, to: end / found.duration, lines: this.#lines() };
    for (const lane of this.#lanes) {
      const points = found.points[lane.dataset.stem];
      if (!points) continue;
      lane.querySelector("[data-none]").hidden = points.some((value) => Math.abs(value) > SILENT);
      drawWaveform(lane.querySelector("canvas"), points, this.#peaks.loudest, shares);
    }
  }

  /** Draw after a change of the view. */
  change() {
    this.draw();
    this.#fetchFine();
  }

  /** Where beats are, as shares of the view; none where they are too close to each other. */
  #lines() {
    const { start, end } = this.#view;
    const shown = this.beats.filter((beat) => beat >= start && beat < end);
    const width = this.#lanes[0].querySelector("[data-wave]").clientWidth;
    return shown.length * BEAT_PIXELS < width ? shown.map((beat) => this.#view.share(beat)) : [];
  }

  async #fetchFine() {
    if (!this.#fineUrl || !this.#peaks || this.#view.isWhole) return;
    const points = Object.values(this.#peaks.points)[0].length / 2;
    if (points / this.#view.factor > POINTS) return;
    const url = this.#fineUrl;
    this.#fineUrl = null;
    this.#fine = await fetchPeaks(url);
    this.draw();
  }

  #turn(event) {
    const box = event.currentTarget.getBoundingClientRect();
    const across = event.shiftKey ? event.deltaY : event.deltaX;
    const view = this.#view;
    if (event.ctrlKey) view.zoom(event.deltaY < 0 ? 1.25 : 0.8, view.at((event.clientX - box.left) / box.width));
    else if (across && !view.isWhole) view.move(view.start + (across / box.width) * view.seconds);
    else return;
    event.preventDefault();
  }
}
