// The first page, for who is not signed in: a song is chosen right away, and waits until its owner has signed up or in.
import { fail, keep, refusal, takeDropped, takeKept } from "./songs.js";

const zone = document.querySelector("[data-welcome]");
const input = zone.querySelector("input");

async function choose(file) {
  if (!file) return;
  const text = refusal(file, Number(zone.dataset.most));
  fail(text);
  if (text) return;
  zone.querySelector("label b").textContent = file.name;
  try {
    await keep(file);
  } catch {
    // it has to be chosen once more
  }
  location.assign(zone.dataset.next);
}

for (const part of zone.querySelectorAll("[data-scripted]")) part.hidden = false;
input.addEventListener("change", () => choose(input.files[0]));
takeDropped(zone, choose);
takeKept(); // who comes back here chooses anew
