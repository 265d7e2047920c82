// Splits on the page that go on: progress as it comes, and the new state when one has ended.
//   data-live="ID" data-status="…"   is replaced by what the page then has for it; with data-reload the page is loaded
import { localTimes, toast } from "./app.js";

const UNFINISHED = ["queued", "processing"];
const all = () => [...document.querySelectorAll("[data-live]")];
const unfinished = all().filter((part) => UNFINISHED.includes(part.dataset.status));

function show(part, progress) {
  const bar = part.querySelector("progress");
  if (!bar) return;
  bar.value = progress;
  part.querySelector("[data-percent]").textContent = `${progress} %`;
}

async function renew(part, status) {
  if ("reload" in part.dataset) {
    location.reload();
    return;
  }
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const next = page.querySelector(`[data-live="${part.dataset.live}"]`);
  if (!next) return;
  part.replaceWith(next);
  localTimes(next);
  if (!UNFINISHED.includes(status)) toast(`${next.querySelector("a").textContent}: ${status}`);
}

function take({ id, status, progress }) {
  const part = all().find((one) => one.dataset.live === id);
  if (!part) return;
  if (part.dataset.status === status) {
    show(part, progress);
    return;
  }
  part.dataset.status = status; // so that it is not renewed twice
  renew(part, status);
}

if (unfinished.length) {
  const ids = unfinished.map((part) => part.dataset.live).join(",");
  const events = new EventSource(`/splits/events?ids=${ids}`); // opens itself again where it breaks off
  events.addEventListener("state", (event) => take(JSON.parse(event.data)));
  events.addEventListener("end", () => events.close());
}
