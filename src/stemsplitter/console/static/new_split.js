// A form with a source, of splits or a tool: uploads each file, then sends the form for it.
import { csrf } from "./app.js";
import { Broken, send } from "./upload.js";
import { onDrop, retrieveKept, secondsOf, showError, size, sizeError } from "./songs.js";
import { _, count, ngettext } from "./texts.js";

const BUY = { href: "/credits#buy", label: _("Get credits") };

const form = document.querySelector("[data-new-split]");
const find = (name) => form.querySelector(`[data-${name}]`);
const input = form.querySelector("#file");
const button = form.querySelector("button:not([type])");
const bar = form.querySelector("progress");
let files = [];
let isUploading = false;
let started = null; // the file being uploaded and its reserved upload
let made = 0; // splits created of `files`

function showStatus(text) {
  find("upload-status").textContent = text;
}

function choose(chosen) {
  const most = Number(form.dataset.most);
  const text = chosen.map((file) => sizeError(file, most)).find(Boolean) ?? "";
  showError(text);
  if (text) return;
  files = chosen;
  made = 0;
  form.dispatchEvent(new CustomEvent("chosen", { detail: files }));
  const [first] = files;
  form.querySelector("label[for=file] b").textContent = files.length > 1 ? ngettext("{n} song", "{n} songs", files.length) : first?.name ?? _("Choose a song");
  find("chosen").hidden = files.length < 2;
  find("chosen").replaceChildren(...files.map(({ name }) => Object.assign(document.createElement("li"), { textContent: name })));
  showCost();
}

/** Tell the cost before the upload, and if the credits do not suffice. */
async function showCost() {
  if (!("balance" in form.dataset) || !files.length) return;
  const asked = files;
  const lengths = await Promise.all(files.map(secondsOf));
  if (asked !== files || lengths.includes(null)) return;
  const cost = lengths.reduce((sum, seconds) => sum + Math.ceil(seconds), 0);
  const balance = Number(form.dataset.balance);
  find("cost").textContent = _("This costs {cost} of your {balance} credits.", { cost: count(cost), balance: count(balance) });
  if (cost > balance) showError(ngettext("This needs {n} credit, and you have {balance}.", "This needs {n} credits, and you have {balance}.", cost, { balance: count(balance) }), BUY);
}

async function post(path, body, type) {
  const headers = { "X-CSRF-Token": csrf, "Content-Type": type };
  const answer = await fetch(path, { method: "POST", body, headers });
  const result = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(result.error?.message ?? _("The request failed. Try again.")), { code: result.error?.code });
  return result;
}

function show(sent, isBroken) {
  const all = started.file.size;
  const sizes = files.map((file) => file.size);
  const total = sizes.reduce((sum, one) => sum + one, 0);
  const before = sizes.slice(0, made).reduce((sum, one) => sum + one, 0);
  bar.value = (100 * (before + sent)) / total;
  const which = files.length > 1 ? `${_("Song {number} of {total}:", { number: made + 1, total: files.length })} ` : "";
  if (isBroken) showStatus(_("Connection lost. Retrying …"));
  else if (sent < all) showStatus(which + _("{sent} of {size} uploaded. Keep this page open until the upload finishes.", { sent: size(sent), size: size(all) }));
  else showStatus(_("Checking the file …"));
}

async function upload(file, fields) {
  if (started?.file !== file) {
    // browsers know few audio types; the server detects the real one
    const contentType = /^(audio|video)\/[\w.+-]+$/.test(file.type) ? file.type : "application/octet-stream";
    const wanted = { filename: file.name.slice(-255), contentType, contentLength: file.size };
    started = { file, ...(await post(form.dataset.reserve ?? "/new/upload", JSON.stringify(wanted), "application/json")) };
  }
  isUploading = true;
  try {
    fields.set("storage_key", await send(started.file, started, show));
  } catch (error) {
    if (!(error instanceof Broken)) started = null;
    throw error;
  } finally {
    isUploading = false;
  }
  fields.set("upload_id", started.uploadId);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const wanted = new FormData(form);
  if (!files.length && !wanted.get("url")) {
    showError(_("Choose a file or enter a URL."));
    return;
  }
  button.disabled = true;
  find("upload").hidden = false;
  bar.hidden = !files.length;
  showStatus(_("Downloading and checking the file …"));
  try {
    // after an error, the songs that were sent are not sent again
    while (made < Math.max(files.length, 1)) {
      const fields = new URLSearchParams(wanted);
      if (files.length) await upload(files[made], fields);
      const created = await post(form.getAttribute("action"), fields, "application/x-www-form-urlencoded");
      made += 1;
      if (made >= files.length) location.assign((files.length > 1 && form.dataset.list) || created.location);
    }
  } catch (error) {
    const text = error instanceof TypeError ? _("The server did not respond. Try again.") : error.message;
    showError(text, error.code === "INSUFFICIENT_CREDITS" ? BUY : null);
    button.disabled = false;
    find("upload").hidden = true;
  }
});

input.addEventListener("change", () => choose([...input.files]));
onDrop(find("drop"), choose);
addEventListener("beforeunload", (event) => {
  if (isUploading) event.preventDefault();
});
const kept = await retrieveKept();
if (kept.length && !files.length) choose(kept);
