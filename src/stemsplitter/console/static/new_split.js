// The form that begins a split: a file is sent first, with its progress, then the split is made of it.
import { csrf } from "./app.js";
import { fail, refusal, size, takeDropped, takeKept } from "./songs.js";

const form = document.querySelector("[data-new-split]");
const find = (name) => form.querySelector(`[data-${name}]`);
const input = form.querySelector("#file");
const button = form.querySelector("button:not([type])");
const bar = form.querySelector("progress");
let file = null;
let sending = null;

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
  if (!answer.ok) throw new Error(told.error?.message ?? "The server does not take this.");
  return told;
}

/** Send the file to where it was reserved. Resolves to its key. */
function send(path, token, contentType) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch tells nothing while it sends
    sending = request;
    request.open("POST", path);
    request.responseType = "json";
    request.setRequestHeader("X-Upload-Token", token);
    request.setRequestHeader("Content-Type", contentType);
    request.upload.addEventListener("progress", (event) => {
      bar.value = (100 * event.loaded) / event.total;
      tell(event.loaded < event.total
        ? `${size(event.loaded)} of ${size(event.total)} sent. Leave this page open until all is.`
        : "Measuring the song …");
    });
    request.addEventListener("load", () => {
      if (request.status === 200) resolve(request.response.data.key);
      else reject(new Error(request.response?.message ?? "The file was not taken."));
    });
    request.addEventListener("error", () => reject(new Error("The connection broke off: send the file again.")));
    request.addEventListener("abort", () => reject(new Error("Sending was stopped.")));
    request.send(file);
  });
}

async function upload(fields) {
  // browsers know few types of audio; what it really is, the server finds out
  const contentType = /^(audio|video)\/[\w.+-]+$/.test(file.type) ? file.type : "application/octet-stream";
  const wanted = { filename: file.name.slice(-255), contentType, contentLength: file.size };
  const reserved = await post("/new/upload", JSON.stringify(wanted), "application/json");
  fields.set("storage_key", await send(reserved.path, reserved.token, contentType));
  sending = null;
  fields.set("upload_id", reserved.uploadId);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = new URLSearchParams(new FormData(form));
  if (!file && !fields.get("url")) {
    fail("Choose a file, or give a link to one.");
    return;
  }
  button.disabled = true;
  find("sending").hidden = false;
  bar.hidden = !file;
  tell("Fetching and measuring the song …");
  try {
    if (file) await upload(fields);
    const made = await post("/new", fields, "application/x-www-form-urlencoded");
    location.assign(made.location);
  } catch (error) {
    fail(error instanceof TypeError ? "The server does not answer: try again." : error.message);
    button.disabled = false;
    find("sending").hidden = true;
  } finally {
    sending = null;
  }
});

const drop = find("drop");
drop.hidden = false;
input.addEventListener("change", () => choose(input.files[0]));
takeDropped(drop, choose);
addEventListener("beforeunload", (event) => {
  if (sending) event.preventDefault();
});
const kept = await takeKept();
if (kept && !file) choose(kept);
