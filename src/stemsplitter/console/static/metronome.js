// A click on every beat of the song, and clicks before it starts: the count-in.

const LOOK = 50; // milliseconds between two looks
const EARLY = 0.2; // seconds before a click in which it is scheduled
const COUNTED = 4; // clicks before the song
const [HERTZ, SECONDS] = [1500, 0.04]; // of a click

/**
 * The clicks before a start at `position`, in seconds before it, the first first. The beats, in seconds of the song, go
 * on from the last click at the same distance.
 */
export function countIn(beats, position, speed) {
  const next = beats.findIndex((beat) => beat >= position - 1e-3);
  const first = Math.min(next < 0 ? beats.length : next, beats.length - 2);
  const distance = beats[first + 1] - beats[first];
  const lead = next < 0 ? 0 : Math.max(beats[next] - position, 0) % distance;
  return Array.from({ length: COUNTED }, (_, number) => ((COUNTED - number) * distance - lead) / speed);
}

/** The times of the clock from `from` to `to` at which a beat sounds. */
export function clicks(beats, engine, from, to) {
  const { loop, speed } = engine;
  const times = beats.filter((beat) => !loop || beat < loop.end).map((beat) => engine.clockAt(beat));
  if (loop) {
    const again = beats.filter((beat) => beat >= loop.start && beat < loop.end);
    times.push(...again.map((beat) => engine.clockAt(loop.end) + (beat - loop.start) / speed));
  }
  return times.filter((time) => time >= from && time < to);
}

export class Metronome {
  isOn = false;
  #beats;
  #until = 0; // time of the clock up to which clicks are scheduled

  constructor(beats) {
    this.#beats = beats;
  }

  /** Click while `engine` plays and the metronome is on. */
  follow(engine) {
    setInterval(() => this.#look(engine), LOOK);
    engine.addEventListener("change", () => this.#look(engine));
  }

  /** Click at times of the clock. */
  click(engine, times) {
    const { context, volume } = engine;
    for (const when of times) {
      const sound = new OscillatorNode(context, { frequency: HERTZ });
      const envelope = new GainNode(context, { gain: 0 });
      envelope.gain.setValueAtTime(0.5, when);
      envelope.gain.exponentialRampToValueAtTime(0.001, when + SECONDS);
      sound.connect(envelope).connect(volume);
      sound.start(when);
      sound.stop(when + SECONDS);
    }
  }

  #look(engine) {
    if (!this.isOn || !engine.playing || engine.waiting) return;
    const now = engine.context.currentTime;
    this.click(engine, clicks(this.#beats, engine, Math.max(now, this.#until), now + EARLY));
    this.#until = now + EARLY;
  }
}
