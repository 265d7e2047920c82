// The loop: set with buttons and keys, or by dragging over a waveform; its edges can be dragged.
import { clock } from "./waveform.js";

const DRAG = 6; // pixels that make a press a selection
const SHORTEST = 0.05; // seconds

export class Loop {
  start = null;
  end = null;
  isOn = false;
  #form;
  #player;

  /** `player`: { lanes, view, position(), seek(seconds), changed() }. */
  constructor(form, player) {
    this.#form = form;
    this.#player = player;
    this.#part("loop-start").addEventListener("click", () => this.mark("start"));
    this.#part("loop-end").addEventListener("click", () => this.mark("end"));
    this.#part("loop").addEventListener("click", () => this.toggle());
    this.#part("loop-clear").addEventListener("click", () => this.clear());
    for (const lane of player.lanes) this.#listen(lane.querySelector("[data-wave]"));
  }

  get isComplete() {
    return this.start !== null && this.end !== null && this.end > this.start;
  }

  /** `{ start, end }` in seconds while the loop is on, else null. */
  get wanted() {
    return this.isOn && this.isComplete ? { start: this.start, end: this.end } : null;
  }

  set(start, end, isOn = true) {
    Object.assign(this, { start, end });
    this.isOn = isOn && this.isComplete;
    this.show();
    this.#player.changed();
  }

  /** Set the start or the end to the position. */
  mark(edge) {
    const at = this.#player.position();
    if (edge === "start") this.set(at, this.end !== null && this.end > at ? this.end : null);
    else this.set(this.start !== null && this.start < at ? this.start : 0, at);
  }

  toggle() {
    this.set(this.start, this.end, !this.isOn);
  }

  clear() {
    this.set(null, null);
    this.#part("loop-start").focus();
  }

  show() {
    const { start, end, isComplete } = this;
    const button = this.#part("loop");
    button.setAttribute("aria-pressed", String(this.isOn));
    button.disabled = !isComplete;
    this.#part("loop-clear").hidden = start === null && end === null;
    this.#part("loop-text").textContent = start === null ? "" : `${clock(start, 1)}–${end === null ? "…" : clock(end, 1)}`;
    const { view } = this.#player;
    for (const lane of this.#player.lanes) {
      const region = lane.querySelector(".region");
      region.hidden = !isComplete;
      region.classList.toggle("off", !this.isOn);
      if (isComplete) {
        region.style.left = `${100 * view.share(start)}%`;
        region.style.width = `${(100 * (end - start)) / view.seconds}%`;
      }
    }
  }

  #part(name) {
    return this.#form.querySelector(`[data-${name}]`);
  }

  #listen(wave) {
    let from = null; // the other edge, in seconds, while a loop is dragged
    let pressed = null; // pixels
    const at = (event) => {
      const box = wave.getBoundingClientRect();
      return this.#player.view.at((event.clientX - box.left) / box.width);
    };
    wave.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const { edge } = event.target.dataset;
      from = edge ? this[edge === "start" ? "end" : "start"] : null;
      pressed = event.clientX;
      wave.setPointerCapture(event.pointerId);
    });
    wave.addEventListener("pointermove", (event) => {
      if (pressed === null) return;
      if (from === null && Math.abs(event.clientX - pressed) > DRAG) from = at({ clientX: pressed });
      if (from === null) return;
      const [start, end] = [from, at(event)].sort((one, other) => one - other);
      if (end - start >= SHORTEST) this.set(start, end);
    });
    wave.addEventListener("pointerup", (event) => {
      if (pressed !== null && from === null) this.#player.seek(at(event));
      pressed = null;
    });
    wave.addEventListener("pointercancel", () => (pressed = null));
  }
}
