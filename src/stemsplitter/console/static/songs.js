// Files that somebody chooses: by dropping them, their size, and keeping one until its owner has signed in.

/** `3.40 MB`. */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB"];
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1);
  return `${(bytes / 1000 ** power).toPrecision(3)} ${units[power]}`;
}

/** Why a server that takes `most` bytes does not take the file; nothing where it does. */
export function refusal(file, most) {
  if (file.size <= most) return "";
  return `${file.name} has ${size(file.size)}, and ${size(most)} is the most this server takes: compress it, as flac or mp3.`;
}

/** Tell above the page what is wrong; an empty `text` takes that back. */
export function fail(text) {
  const notice = document.createElement("div");
  notice.className = "notice bad";
  notice.role = "alert";
  notice.textContent = text;
  const place = document.querySelector("[data-error]");
  place.replaceChildren(...(text ? [notice] : []));
  if (text) notice.scrollIntoView({ block: "nearest" });
}

/** Call `choose` with each file that is dropped on the page; `zone` shows that it may be. */
export function takeDropped(zone, choose) {
  // beside the zone a file would replace the page
  for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());
  document.addEventListener("dragover", () => zone.classList.add("over"));
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) zone.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    zone.classList.remove("over");
    if (event.dataTransfer.files.length) choose(event.dataTransfer.files[0]);
  });
}

// ---- a song that waits in the browser, for the next page in the same tab: nobody else's form is to find it ----

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

/** Keep a file. Rejects where the browser cannot. */
export async function keep(file) {
  const all = await store();
  all.put(file, KEPT);
  await new Promise((resolve, reject) => {
    all.transaction.addEventListener("complete", resolve);
    all.transaction.addEventListener("abort", () => reject(all.transaction.error));
  });
  sessionStorage.setItem(KEPT, "yes");
}

/** The file that was kept in this tab, once; null where there is none. What another tab left behind is deleted. */
export async function takeKept() {
  const isOurs = sessionStorage.getItem(KEPT) !== null;
  sessionStorage.removeItem(KEPT);
  try {
    const all = await store();
    const file = await done(all.get(KEPT));
    all.clear();
    return (isOurs && file) || null;
  } catch {
    return null; // a browser that keeps nothing
  }
}
