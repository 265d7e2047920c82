// The waveform of an analyzed song with its beats. The tempo can be halved and doubled, and the beats with it.
import { DecodedSong } from "./decoded.js";
import { tempoText } from "./keys.js";
import { View } from "./view.js";
import { Waves } from "./waves.js";

const SHOWN = 10; // seconds

/** The beats at half or twice the tempo: every second, or one more between two. */
export function atTempo(beats, factor) {
  if (factor === 0.5) return beats.filter((_, number) => number % 2 === 0);
  if (factor === 1) return beats;
  return beats.flatMap((beat, number) => (number + 1 < beats.length ? [beat, (beat + beats[number + 1]) / 2] : [beat]));
}

export async function showBeats(root) {
  const lane = root.querySelector("[data-stem]");
  const audio = root.querySelector("audio");
  const beats = root.dataset.beats.split(" ").map(Number);
  let duration = Number(root.dataset.seconds);
  let waves = null;
  const view = new View(() => duration, () => waves?.draw());
  waves = new Waves([lane], view, beats);
  const show = () => {
    view.follow(audio.currentTime, !audio.paused);
    lane.querySelector(".head").style.left = `${100 * view.share(audio.currentTime)}%`;
  };
  const setTempo = (factor) => {
    waves.beats = atTempo(beats, factor);
    waves.draw();
    document.querySelector("[data-tempo]").textContent = tempoText(Number(root.dataset.bpm) * factor).replace(" BPM", "");
    for (const button of buttons) button.setAttribute("aria-pressed", String(Number(button.dataset.factor) === factor));
  };
  const buttons = root.querySelectorAll("[data-factor]");
  for (const button of buttons) {
    button.addEventListener("click", () => {
      setTempo(button.getAttribute("aria-pressed") === "true" ? 1 : Number(button.dataset.factor));
    });
  }
  lane.querySelector("[data-wave]").addEventListener("click", (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    audio.currentTime = view.at((event.clientX - box.left) / box.width);
    show();
  });
  for (const name of ["timeupdate", "seeked"]) audio.addEventListener(name, show);
  const answer = await fetch(audio.src);
  if (!answer.ok) return;
  const song = await DecodedSong.decode(await answer.arrayBuffer()).catch(() => null);
  if (!song) return; // the beats are told, not shown
  duration = song.samples / song.sampleRate;
  waves.peaks = song.peaks();
  view.zoom(Math.max(duration / SHOWN, 1), 0);
  new ResizeObserver(() => waves.draw()).observe(lane);
  document.addEventListener("theme", () => waves.draw());
  root.querySelector("[data-wave]").hidden = false;
  waves.draw();
  show();
}
