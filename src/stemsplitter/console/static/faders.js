// Settings of the stems: gain in dB, pan from -1 (left) to 1 (right), muted, solo.

const UNTOUCHED = { gain: 0, pan: 0, muted: false, solo: false };

export class Faders {
  #settings;

  constructor(names) {
    this.#settings = new Map(names.map((name) => [name, { ...UNTOUCHED }]));
  }

  get names() {
    return [...this.#settings.keys()];
  }

  get(name) {
    return this.#settings.get(name);
  }

  set(name, changes) {
    Object.assign(this.#settings.get(name), changes);
  }

  /** True if the stem is heard. While any stem is soloed, only the soloed ones are, muted or not. */
  isHeard(name) {
    const anySolo = [...this.#settings.values()].some((setting) => setting.solo);
    const { muted, solo } = this.#settings.get(name);
    return anySolo ? solo : !muted;
  }

  /** Factor for the stem's samples; exactly 1 at 0 dB. */
  amplitude(name) {
    return this.isHeard(name) ? 10 ** (this.#settings.get(name).gain / 20) : 0;
  }
}
