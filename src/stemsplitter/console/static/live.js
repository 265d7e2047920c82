// Live progress of the unfinished splits on the page, also in the title of the tab, and notifications of their end.
//   data-live="ID" data-status="…"   is replaced when the status changes; with data-reload the page is reloaded
import { localTimes, toast } from "./app.js";
import { _ } from "./texts.js";

const UNFINISHED = ["queued", "processing"];
const all = () => [...document.querySelectorAll("[data-live]")];
const title = document.title;
const NOTIFY = "notify"; // kept in the browser: the reader wants notifications
const ended = (status) => (status === "succeeded" ? _("Split succeeded") : _("Split failed"));
const unfinished = () => all().filter((part) => UNFINISHED.includes(part.dataset.status));

/** Show the mean progress of the unfinished splits in the title of the tab. */
function showInTitle() {
  const running = unfinished();
  const sum = running.reduce((total, part) => total + (part.querySelector("progress")?.value ?? 0), 0);
  document.title = running.length ? `${_("{number} %", { number: Math.round(sum / running.length) })} · ${title}` : title;
}

const wantsNotice = () => "Notification" in window && Notification.permission === "granted" && localStorage.getItem(NOTIFY) === "yes";

function notify(part, status) {
  if (!document.hidden || !wantsNotice()) return;
  const name = (part.querySelector("a bdi") ?? document.querySelector("h1")).textContent;
  try {
    new Notification(ended(status), { body: name, tag: part.dataset.live, icon: document.querySelector('link[rel="icon"]').href });
  } catch {
    // browsers of phones allow notifications to service workers only
  }
}

/** Show the button that asks for notifications, pressed while they are on. */
function connectNotice(button) {
  const press = () => button.setAttribute("aria-pressed", String(wantsNotice()));
  button.hidden = !("Notification" in window) || Notification.permission === "denied";
  press();
  button.addEventListener("click", async () => {
    const on = !wantsNotice() && (await Notification.requestPermission()) === "granted";
    localStorage.setItem(NOTIFY, on ? "yes" : "no");
    press();
    toast(on ? _("You will be notified when the split ends and this page is in the background.") : _("Notifications are off."));
  });
}

function show(part, progress) {
  const bar = part.querySelector("progress");
  if (!bar) return;
  bar.value = progress;
  part.querySelector("[data-percent]").textContent = _("{number} %", { number: progress });
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
  showInTitle();
  localTimes(next);
  if (!UNFINISHED.includes(status)) toast(`${ended(status)}: ${next.querySelector("a").textContent}`);
}

function update({ id, status, progress }) {
  const part = all().find((one) => one.dataset.live === id);
  if (!part) return;
  if (part.dataset.status === status) {
    show(part, progress);
    showInTitle();
    return;
  }
  part.dataset.status = status; // prevents a second renewal
  if (!UNFINISHED.includes(status)) notify(part, status);
  renew(part, status);
}

for (const button of document.querySelectorAll("[data-notify]")) connectNotice(button);
const followed = unfinished();
if (followed.length) {
  showInTitle();
  const ids = followed.map((part) => part.dataset.live).join(",");
  const events = new EventSource(`/splits/events?ids=${ids}`); // reconnects by itself
  events.addEventListener("state", (event) => update(JSON.parse(event.data)));
  events.addEventListener("end", () => events.close());
}
