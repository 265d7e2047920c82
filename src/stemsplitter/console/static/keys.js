// Keys and tempi as texts.

const NAMES = {
  major: ["C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"],
  minor: ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"],
};

/** A key, such as `A minor`, after a transposition, with its Camelot code: `B minor · 10A`. */
export function transposed(key, semitones) {
  const [name, mode] = key.split(" ");
  const tonic = (((NAMES[mode].indexOf(name) + semitones) % 12) + 12) % 12;
  // the wheel goes by fifths; C major and A minor have the number 8
  const number = ((7 * (mode === "major" ? tonic : tonic + 3) + 7) % 12) + 1;
  return `${NAMES[mode][tonic]} ${mode} · ${number}${mode === "major" ? "B" : "A"}`;
}

/** `120 BPM`, or with a tenth. */
export const tempoText = (bpm) => `${Math.round(10 * bpm) / 10} BPM`;
