// Live progress of the unfinished splits on the page.
//   data-live="ID" data-status="…"   is replaced when the status changes; with data-reload the page is reloaded
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
  if (!UNFINISHED.includes(status)) toast(`Split ${status}: ${next.querySelector("a").textContent}`);
}

function update({ id, status, progress }) {
  const part = all().find((one) => one.dataset.live === id);
  if (!part) return;
  if (part.dataset.status === status) {
    show(part, progress);
    return;
  }
  part.dataset.status = status; // prevents a second renewal
  renew(part, status);
}

if (unfinished.length) {
  const ids = unfinished.map((part) => part.dataset.live).join(",");
  const events = new EventSource(`/splits/events?ids=${ids}`); // reconnects by itself
  events.addEventListener("state", (event) => update(JSON.parse(event.data)));
  events.addEventListener("end", () => events.close());
}
