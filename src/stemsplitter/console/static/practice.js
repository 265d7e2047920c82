// The practice bar: speed and pitch, and the key and the tempo that they result in.
import { tempoText, transposed } from "./keys.js";
import { _, ngettext } from "./texts.js";

const SPEED_STEP = 5; // percent per press of a key

export class Practice {
  #form;
  #changed;

  /** `changed()` is called after a change. */
  constructor(form, changed) {
    this.#form = form;
    this.#changed = changed;
    this.#part("tempo-reset").addEventListener("click", () => this.reset());
    this.show();
  }

  /** The speed, 1 being that of the song. */
  get speed() {
    return Number(this.#part("speed").value) / 100;
  }

  get semitones() {
    return Number(this.#part("semitones").value);
  }

  get isNeutral() {
    return this.speed === 1 && this.semitones === 0;
  }

  set(speed, semitones) {
    this.#part("speed").value = Math.round(100 * speed);
    this.#part("semitones").value = semitones;
    this.show();
    this.#changed();
  }

  reset() {
    this.set(1, 0);
  }

  /** Change the speed by steps of 5 %; with `semitones`, the pitch. */
  step({ speed = 0, semitones = 0 }) {
    this.set(this.speed + (speed * SPEED_STEP) / 100, this.semitones + semitones);
  }

  /** The browser cannot play at another speed. */
  disable() {
    for (const name of ["speed", "semitones"]) this.#part(name).disabled = true;
    this.reset();
  }

  show() {
    const { speed, semitones } = this;
    this.#show("speed", _("{number} %", { number: Math.round(100 * speed) }));
    this.#show("semitones", semitones > 0 ? `+${semitones}` : String(semitones), ngettext("{n} semitone", "{n} semitones", semitones));
    this.#part("tempo-reset").hidden = this.isNeutral;
    const { key, bpm } = this.#form.dataset;
    if (key) this.#part("key").textContent = transposed(key, semitones);
    if (bpm) this.#part("bpm").textContent = tempoText(Number(bpm) * speed);
  }

  #show(name, text, spoken = text) {
    const input = this.#part(name);
    input.setAttribute("aria-valuetext", spoken);
    this.#form.querySelector(`output[for=${input.id}]`).value = text;
  }

  #part(name) {
    return this.#form.querySelector(`[data-${name}]`);
  }
}
