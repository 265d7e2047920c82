// A form with a source, of a split or a tool: uploads the file, then sends the form.
import { csrf } from "./app.js";
import { Broken, send } from "./upload.js";
import { showError, sizeError, size, onDrop, retrieveKept } from "./songs.js";

const form = document.querySelector("[data-new-split]");
const find = (name) => form.querySelector(`[data-${name}]`);
const input = form.querySelector("#file");
const button = form.querySelector("button:not([type])");
const bar = form.querySelector("progress");
let file = null;
let isUploading = false;
let started = null; // the file being uploaded and its reserved upload

function showStatus(text) {
  find("upload-status").textContent = text;
}

function choose(chosen) {
  const text = chosen ? sizeError(chosen, Number(form.dataset.most)) : "";
  showError(text);
  if (text) return;
  file = chosen ?? null;
  form.querySelector("label[for=file] b").textContent = file ? file.name : "Choose a song";
}

async function post(path, body, type) {
  const headers = { "X-CSRF-Token": csrf, "Content-Type": type };
  const answer = await fetch(path, { method: "POST", body, headers });
  const result = await answer.json();
  if (!answer.ok) throw new Error(result.error?.message ?? "The request failed. Try again.");
  return result;
}

function show(sent, isBroken) {
  const all = started.file.size;
  bar.value = (100 * sent) / all;
  if (isBroken) showStatus("Connection lost. Retrying …");
  else if (sent < all) showStatus(`${size(sent)} of ${size(all)} uploaded. Keep this page open until the upload finishes.`);
  else showStatus("Checking the file …");
}

async function upload(fields) {
  if (started?.file !== file) {
    // browsers know few audio types; the server detects the real one
    const contentType = /^(audio|video)\/[\w.+-]+$/.test(file.type) ? file.type : "application/octet-stream";
    const wanted = { filename: file.name.slice(-255), contentType, contentLength: file.size };
    started = { file, ...(await post("/new/upload", JSON.stringify(wanted), "application/json")) };
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
  const fields = new URLSearchParams(new FormData(form));
  if (!file && !fields.get("url")) {
    showError("Choose a file or enter a URL.");
    return;
  }
  button.disabled = true;
  find("upload").hidden = false;
  bar.hidden = !file;
  showStatus("Downloading and checking the file …");
  try {
    if (file) await upload(fields);
    const made = await post(form.getAttribute("action"), fields, "application/x-www-form-urlencoded");
    location.assign(made.location);
  } catch (error) {
    showError(error instanceof TypeError ? "The server did not respond. Try again." : error.message);
    button.disabled = false;
    find("upload").hidden = true;
  }
});

const drop = find("drop");
drop.hidden = false;
input.addEventListener("change", () => choose(input.files[0]));
onDrop(drop, choose);
addEventListener("beforeunload", (event) => {
  if (isUploading) event.preventDefault();
});
const kept = await retrieveKept();
if (kept && !file) choose(kept);
