// What all pages share. The pages work without it; it only makes them nicer.
//   data-copy="ID"        on a button: copies the text of the element with that id
//   data-confirm="…"      on a form: asks first
//   data-folded-when-narrow  on an open <details>: closed on a narrow screen
//   <time datetime="…">   is shown in the reader's own time

/** The token that changes need; send it as the header X-CSRF-Token. */
export const csrf = document.querySelector('meta[name="csrf"]')?.content ?? "";

/** Tell something that passes, to eyes and to screen readers. */
export function toast(text) {
  const box = document.createElement("div");
  box.className = "toast";
  box.textContent = text;
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), 6000);
}

/** Ask a yes-or-no question; resolves to whether the answer is yes. */
export function confirmed(question, yes = "Go on") {
  const dialog = document.getElementById("confirm");
  document.getElementById("confirm-text").textContent = question;
  dialog.querySelector("[data-confirm-yes]").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Show the times in `root` in the reader's own time. */
export function localTimes(root = document) {
  for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
    const at = new Date(time.dateTime);
    time.title = time.textContent;
    time.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  }
}

async function copy(button) {
  const text = document.getElementById(button.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.");
  } catch {
    // without https, browsers give no clipboard: select the text, so that Ctrl+C takes it
    getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
    toast("Press Ctrl+C to copy.");
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.confirm || form.dataset.sure) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (await confirmed(form.dataset.confirm, event.submitter?.textContent)) {
    form.dataset.sure = "yes";
    form.requestSubmit(event.submitter);
    delete form.dataset.sure;
  }
}, true);

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF-Token"] = csrf;
});
document.addEventListener("htmx:afterSwap", (event) => localTimes(event.target));
document.addEventListener("htmx:responseError", (event) => {
  toast(`This did not work (${event.detail.xhr.status}): reload the page, and try again.`);
});
document.addEventListener("htmx:sendError", () => toast("The server does not answer: try again."));
for (const details of document.querySelectorAll("[data-folded-when-narrow]")) {
  details.open = !matchMedia("(max-width: 48rem)").matches;
}
localTimes();
