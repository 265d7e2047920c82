// Files that the server makes: mixes and the .stem.mp4.
import { csrf } from "./app.js";
import { _, decimal } from "./texts.js";

/** `showMessage(text)` shows what became of a file. */
export function saveFrom(form, showMessage) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = form.querySelector("[data-save]");
    if (form.action.endsWith("/mix")) render(form, new URLSearchParams(new FormData(form)), button, showMessage);
  });
  for (const other of document.querySelectorAll("[data-render]")) {
    other.addEventListener("submit", (event) => {
      event.preventDefault();
      render(other, new URLSearchParams(new FormData(other)), event.submitter, showMessage);
    });
  }
}

/** The note about a mix whose level was changed or exceeds full scale; empty for others. */
function levelNote({ gain, peak }) {
  const decibels = (factor) => `${decimal(Math.abs(20 * Math.log10(factor)), 1)} dB`;
  if (gain < 1) return _("This mix exceeded full scale, so it is {decibels} quieter.", { decibels: decibels(gain) });
  if (peak > 1) return _("This mix exceeds full scale by {decibels}. The file keeps it, but most players clip it.", { decibels: decibels(peak) });
  return "";
}

async function render(target, body, button, showMessage) {
  const label = button.textContent;
  button.disabled = true;
  button.textContent = _("Rendering …");
  try {
    const answer = await fetch(target.action, { method: "POST", body, headers: { "X-CSRF-Token": csrf } });
    const made = await answer.json();
    if (!answer.ok) {
      showMessage(made.error.message);
      return;
    }
    showMessage(levelNote(made));
    location.assign(made.location);
  } catch {
    showMessage(_("The server did not respond. Try again."));
  } finally {
    button.disabled = false;
    button.textContent = label;
  }
}
