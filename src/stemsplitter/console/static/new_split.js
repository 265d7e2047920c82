// The form that creates a split: uploads the file, then creates the split.
import { csrf } from "./app.js";
import { Broken, send } from "./sending.js";
import { fail, refusal, size, takeDropped, takeKept } from "./songs.js";

const form = document.querySelector("[data-new-split]");
const find = (name) => form.querySelector(`[data-${name}]`);
const input = form.querySelector("#file");
const button = form.querySelector("button:not([type])");
const bar = form.querySelector("progress");
let file = null;
let isSending = false;
let started = null; // the file being uploaded and its reserved upload

function tell(text) {
  find("told").textContent = text;
}

function choose(chosen) {
  const text = chosen ? refusal(chosen, Number(form.dataset.most)) : "";
  fail(text);
  if (text) return;
  file = chosen ?? null;
  form.querySelector("label[for=file] b").textContent = file ? file.name : "Choose a song";
}

async function post(path, body, type) {
  const headers = { "X-CSRF-Token": csrf, "Content-Type": type };
  const answer = await fetch(path, { method: "POST", body, headers });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error?.message ?? "The request failed. Try again.");
  return told;
}

function show(sent, isBroken) {
  const all = started.file.size;
  bar.value = (100 * sent) / all;
  if (isBroken) tell("Connection lost. Retrying …");
  else if (sent < all) tell(`${size(sent)} of ${size(all)} uploaded. Keep this page open until the upload finishes.`);
  else tell("Checking the file …");
}

async function upload(fields) {
  if (started?.file !== file) {
    // browsers know few audio types; the server detects the real one
    const contentType = /^(audio|video)\/[\w.+-]+$/.test(file.type) ? file.type : "application/octet-stream";
    const wanted = { filename: file.name.slice(-255), contentType, contentLength: file.size };
    started = { file, ...(await post("/new/upload", JSON.stringify(wanted), "application/json")) };
  }
  isSending = true;
  try {
    fields.set("storage_key", await send(started.file, started, show));
  } catch (error) {
    if (!(error instanceof Broken)) started = null;
    throw error;
  } finally {
    isSending = false;
  }
  fields.set("upload_id", started.uploadId);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = new URLSearchParams(new FormData(form));
  if (!file && !fields.get("url")) {
    fail("Choose a file or enter a URL.");
    return;
  }
  button.disabled = true;
  find("sending").hidden = false;
  bar.hidden = !file;
  tell("Downloading and checking the file …");
  try {
    if (file) await upload(fields);
    const made = await post("/new", fields, "application/x-www-form-urlencoded");
    location.assign(made.location);
  } catch (error) {
    fail(error instanceof TypeError ? "The server did not respond. Try again." : error.message);
    button.disabled = false;
    find("sending").hidden = true;
  }
});

const drop = find("drop");
drop.hidden = false;
input.addEventListener("change", () => choose(input.files[0]));
takeDropped(drop, choose);
addEventListener("beforeunload", (event) => {
  if (isSending) event.preventDefault();
});
const kept = await takeKept();
if (kept && !file) choose(kept);
