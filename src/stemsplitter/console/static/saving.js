// Files that the server makes: mixes and the .stem.mp4.
import { csrf } from "./app.js";

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
  const decibels = (factor) => `${Math.abs(20 * Math.log10(factor)).toFixed(1)} dB`;
  if (gain < 1) return `This mix exceeded full scale, so it is ${decibels(gain)} quieter.`;
  if (peak > 1) return `This mix exceeds full scale by ${decibels(peak)}. The file keeps it, but most players clip it.`;
  return "";
}

async function render(target, body, button, showMessage) {
  const label = button.textContent;
  button.disabled = true;
  button.textContent = "Rendering …";
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
    showMessage("The server did not respond. Try again.");
  } finally {
    button.disabled = false;
    button.textContent = label;
  }
}
