// The home page for visitors: the chosen song is kept in the browser until they sign in or sign up.
import { showError, keep, sizeError, onDrop, retrieveKept } from "./songs.js";

const zone = document.querySelector("[data-welcome]");
const input = zone.querySelector("input");

async function choose(file) {
  if (!file) return;
  const text = sizeError(file, Number(zone.dataset.most));
  showError(text);
  if (text) return;
  zone.querySelector("label b").textContent = file.name;
  try {
    await keep(file);
  } catch {
    // the file has to be chosen again after signing in
  }
  location.assign(zone.dataset.next);
}

for (const part of zone.querySelectorAll("[data-scripted]")) part.hidden = false;
input.addEventListener("change", () => choose(input.files[0]));
onDrop(zone, choose);
retrieveKept(); // a file kept by an earlier visit is discarded
