// Behavior that all pages share. Every page works without it.
//   data-copy="ID"        on a button: copies the text of the element with that id
//   data-confirm="…"      on a form or its button: asks for confirmation
//   data-folded-when-narrow  on an open <details>: closes it on a narrow screen
//   <time datetime="…T…">  is shown in the reader's time zone; a date stays
import { _, language } from "./texts.js";

/** The session's CSRF token; requests that change something send it as the header X-CSRF-Token. */
export const csrf = document.querySelector('meta[name="csrf"]')?.content ?? "";

const MOST_TOASTS = 2;

/** Show a message for six seconds; screen readers announce it. */
export function toast(text) {
  const box = document.createElement("div");
  box.className = "toast";
  box.textContent = text;
  const all = document.getElementById("toasts");
  all.append(box);
  while (all.children.length > MOST_TOASTS) all.firstElementChild.remove();
  setTimeout(() => box.remove(), 6000);
}

/** Ask for confirmation. Resolves to true if it is given. */
export function confirmed(question, yes = _("Continue")) {
  const dialog = document.getElementById("confirm");
  document.getElementById("confirm-text").textContent = question;
  dialog.querySelector("[data-confirm-yes]").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Show the times in `root` in the reader's time zone. */
export function localTimes(root = document) {
  for (const time of root.querySelectorAll('time[datetime*="T"]:not([title])')) {
    const at = new Date(time.dateTime);
    time.title = time.textContent;
    time.textContent = at.toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
  }
}

async function copy(button) {
  const text = document.getElementById(button.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
    toast(_("Copied."));
  } catch {
    // browsers give the clipboard to HTTPS pages only: select the text so that Ctrl+C copies it
    getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
    toast(_("Press Ctrl+C to copy."));
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const question = event.submitter?.dataset.confirm ?? form.dataset.confirm;
  if (!question || form.dataset.sure) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (await confirmed(question, event.submitter?.textContent)) {
    form.dataset.sure = "yes";
    form.requestSubmit(event.submitter);
    delete form.dataset.sure;
  }
}, true);

// the theme changes at once; the cookie keeps it for the next page
document.querySelector("[data-theme-switch]")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const { value } = event.submitter;
  const form = event.currentTarget;
  fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form, event.submitter)), redirect: "manual" });
  const root = document.documentElement;
  if (value) root.dataset.theme = value;
  else delete root.dataset.theme;
  document.querySelector('meta[name="color-scheme"]').content = value || "light dark";
  for (const button of form.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.value === value));
  document.dispatchEvent(new Event("theme"));
});

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF-Token"] = csrf;
});
document.addEventListener("htmx:afterSwap", (event) => localTimes(event.target));
document.addEventListener("htmx:responseError", (event) => {
  toast(_("The request failed ({status}). Reload the page and try again.", { status: event.detail.xhr.status }));
});
document.addEventListener("htmx:sendError", () => toast(_("The server did not respond. Try again.")));
for (const details of document.querySelectorAll("[data-folded-when-narrow]")) {
  details.open = !matchMedia("(max-width: 48rem)").matches;
}
localTimes();

// after the page, which it must not slow down
const register = () => navigator.serviceWorker?.register("/service-worker.js").catch(() => {}); // without: no offline page
if (document.readyState === "complete") register();
else addEventListener("load", register, { once: true });
