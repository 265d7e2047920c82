// The audio worklet of stretched.js: one node for all stems, with one output for each.
import { Stretcher } from "./stretcher.js";

const REPORTED = 16; // blocks between two reports

class Stretch extends AudioWorkletProcessor {
  #stretcher;
  #run = 0; // identifies a start, in both directions
  #from = 0; // frame of the clock at which it sounds
  #underruns = 0;
  #hasSounded = false;
  #blocks = 0;

  constructor({ processorOptions }) {
    super();
    this.#stretcher = new Stretcher(processorOptions.drums);
    this.port.onmessage = ({ data }) => this.#receive(data);
  }

  #receive({ run, set, start, push, finish }) {
    if (set) Object.assign(this.#stretcher, set);
    if (start !== undefined) {
      this.#stretcher.clear();
      this.#hasSounded = false;
      this.#run = run;
      this.#from = start;
    }
    if (push && run === this.#run) this.#stretcher.push(push);
    if (finish && run === this.#run) this.#stretcher.finish();
  }

  process(inputs, outputs) {
    const isDue = this.#run > 0 && currentFrame >= this.#from && !this.#stretcher.isFinished;
    const place = this.#stretcher.place;
    const sounds = isDue && this.#stretcher.pull(outputs);
    if (isDue && this.#hasSounded && !sounds) this.#underruns += 1;
    if (sounds && !this.#hasSounded) this.#blocks = 0; // report at once
    this.#hasSounded ||= sounds;
    if (this.#run && this.#blocks % REPORTED === 0) {
      this.port.postMessage({
        run: this.#run,
        frame: currentFrame,
        place,
        sounds,
        isFinished: this.#stretcher.isFinished,
        underruns: this.#underruns,
      });
    }
    this.#blocks += 1;
    return true;
  }
}

registerProcessor("stretch", Stretch);
