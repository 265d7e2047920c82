// Songs that another app has shared: the service worker has received them. They are kept in the browser, and the form of a
// new split continues with them, after sign-in if necessary.
import { keep } from "./songs.js";

const WAIT_MS = 5000;

const place = document.querySelector("[data-shared]");

/** The files that the service worker holds; none if it does not answer. */
function ask() {
  const { controller } = navigator.serviceWorker ?? {};
  if (!controller) return [];
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.addEventListener("message", ({ data }) => resolve(data));
    port1.start();
    controller.postMessage("shared", [port2]);
    setTimeout(() => resolve([]), WAIT_MS);
  });
}

const files = await ask();
try {
  if (files.length) await keep(files);
} catch {
  files.length = 0; // no storage in this browser
}
if (files.length) location.replace(place.dataset.next);
else {
  place.querySelector("[data-arriving]").hidden = true;
  place.querySelector("[data-missed]").hidden = false;
}
