// Behavior of the pages of tools. Every page works without it.
//   data-counted="ID"   on a textarea: the element with that id tells how many characters are left
//   data-beats          on an analysis: its waveform with beats
//   data-output         on an audio element: it stops the others, and goes on where they were
import { _, language } from "./texts.js";

for (const text of document.querySelectorAll("[data-counted]")) {
  const count = () => {
    const left = text.maxLength - text.value.length;
    document.getElementById(text.dataset.counted).textContent = _("{number} left.", { number: left.toLocaleString(language) });
  };
  text.addEventListener("input", count);
  count();
}

// htmx may add the result later
function showResults() {
  for (const root of document.querySelectorAll("[data-beats]:not([data-shown])")) {
    root.dataset.shown = "";
    import("./key_finder.js").then(({ showBeats }) => showBeats(root));
  }
}
document.addEventListener("htmx:afterSwap", showResults);
showResults();

// the events of audio elements do not bubble; htmx may add elements later
document.addEventListener("play", ({ target }) => {
  for (const other of document.querySelectorAll("audio")) {
    if (other === target || other.paused) continue;
    other.pause();
    const isSame = "output" in other.dataset && Math.abs(other.duration - target.duration) < 0.5;
    if (isSame) target.currentTime = other.currentTime;
  }
}, true);
