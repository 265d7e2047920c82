// Keys and tempi as texts.
import { _, count, marked } from "./texts.js";

const NAMES = {
  major: [
    marked("C major"), marked("Db major"), marked("D major"), marked("Eb major"),
    marked("E major"), marked("F major"), marked("F# major"), marked("G major"),
    marked("Ab major"), marked("A major"), marked("Bb major"), marked("B major"),
  ],
  minor: [
    marked("C minor"), marked("C# minor"), marked("D minor"), marked("Eb minor"),
    marked("E minor"), marked("F minor"), marked("F# minor"), marked("G minor"),
    marked("G# minor"), marked("A minor"), marked("Bb minor"), marked("B minor"),
  ],
};

/** A key, such as `A minor`, after a transposition, with its Camelot code: `B minor · 10A`. */
export function transposed(key, semitones) {
  const [, mode] = key.split(" ");
  const tonic = (((NAMES[mode].indexOf(key) + semitones) % 12) + 12) % 12;
  // the wheel goes by fifths; C major and A minor have the number 8
  const number = ((7 * (mode === "major" ? tonic : tonic + 3) + 7) % 12) + 1;
  return `${_(NAMES[mode][tonic])} · ${number}${mode === "major" ? "B" : "A"}`;
}

/** A chord, such as `F#m`, after a transposition. */
export function transposedChord(chord, semitones) {
  const mode = chord.endsWith("m") ? "minor" : "major";
  const root = NAMES[mode].indexOf(`${chord.replace(/m$/, "")} ${mode}`);
  const [name] = NAMES[mode][(((root + semitones) % 12) + 12) % 12].split(" ");
  return mode === "minor" ? `${name}m` : name;
}

/** `120 BPM`, or with a tenth. */
export const tempoText = (bpm) => `${count(Math.round(10 * bpm) / 10)} BPM`;
