// The drop zone for visitors: the chosen songs are kept in the browser until they sign in or sign up.
import { showError, keep, sizeError, onDrop, retrieveKept } from "./songs.js";
import { ngettext } from "./texts.js";

const zone = document.querySelector("[data-welcome]");
const input = zone.querySelector("input");

async function choose(files) {
  if (!files.length) return;
  const most = Number(zone.dataset.most);
  const text = files.map((file) => sizeError(file, most)).find(Boolean) ?? "";
  showError(text);
  if (text) return;
  zone.querySelector("label b").textContent = files.length > 1 ? ngettext("{n} song", "{n} songs", files.length) : files[0].name;
  try {
    await keep(files);
  } catch {
    // the files have to be chosen again after signing in
  }
  location.assign(zone.dataset.next);
}

input.addEventListener("change", () => choose([...input.files]));
onDrop(zone, choose);
retrieveKept(); // files kept by an earlier visit are discarded
