// The files that the user chooses: drag and drop, the size limit, and keeping them until sign-in.
import { _, precise } from "./texts.js";

/** `3.40 MB`. */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB"];
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1);
  return `${precise(bytes / 1000 ** power, 3)} ${units[power]}`;
}

/** The reason why `file` cannot be uploaded to a server with a limit of `most` bytes; an empty text if it can. */
export function sizeError(file, most) {
  if (!file.size) return _("{file} is empty. Choose another file.", { file: file.name });
  if (file.size <= most) return "";
  return _("{file} is {size}, over the limit of {limit}. Compress it as FLAC or MP3.", { file: file.name, size: size(file.size), limit: size(most) });
}

/** Show an error above the form, with a link to `{ href, label }`; an empty `text` removes it. */
export function showError(text, link = null) {
  const notice = document.createElement("div");
  notice.className = "notice bad";
  notice.role = "alert";
  notice.textContent = text;
  if (link) notice.append(" ", Object.assign(document.createElement("a"), { href: link.href, textContent: link.label }));
  const place = document.querySelector("[data-error]");
  place.replaceChildren(...(text ? [notice] : []));
  if (text) notice.scrollIntoView({ block: "nearest" });
}

/** Call `choose` with the files dropped on the page; `zone` is highlighted meanwhile. */
export function onDrop(zone, choose) {
  // by default the browser opens a dropped file instead of the page
  for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());
  document.addEventListener("dragover", () => zone.classList.add("over"));
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) zone.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    zone.classList.remove("over");
    if (event.dataTransfer.files.length) choose([...event.dataTransfer.files]);
  });
}

// ---- files kept in the browser for the next page of this tab; other tabs must not find them ----

const KEPT = "kept";

function done(request) {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
}

async function store() {
  const opening = indexedDB.open("stemsplitter", 1);
  opening.addEventListener("upgradeneeded", () => opening.result.createObjectStore(KEPT));
  const database = await done(opening);
  return database.transaction(KEPT, "readwrite").objectStore(KEPT);
}

/** Keep files. Rejects if the browser cannot store them. */
export async function keep(files) {
  const all = await store();
  all.put(files, KEPT);
  await new Promise((resolve, reject) => {
    all.transaction.addEventListener("complete", resolve);
    all.transaction.addEventListener("abort", () => reject(all.transaction.error));
  });
  sessionStorage.setItem(KEPT, "yes");
}

/** Return and delete the files kept in this tab. Those left behind by another tab are deleted. */
export async function retrieveKept() {
  const isOurs = sessionStorage.getItem(KEPT) !== null;
  sessionStorage.removeItem(KEPT);
  try {
    const all = await store();
    const files = await done(all.get(KEPT));
    all.clear();
    return (isOurs && files) || [];
  } catch {
    return []; // no storage in this browser
  }
}

/** The length of an audio or video file in seconds, or null if this browser cannot tell. */
export function secondsOf(file) {
  return new Promise((resolve) => {
    const media = new Audio();
    const url = URL.createObjectURL(file);
    const end = (seconds) => {
      URL.revokeObjectURL(url);
      resolve(Number.isFinite(seconds) && seconds > 0 ? seconds : null);
    };
    media.preload = "metadata";
    media.addEventListener("loadedmetadata", () => end(media.duration));
    media.addEventListener("error", () => end(null));
    media.src = url;
  });
}
