// Uploads a file in slices. After a lost connection the upload resumes where the server's copy ends
// (draft-ietf-httpbis-resumable-upload; on the server: stemsplitter.uploads).
import { _ } from "./texts.js";

const SLICE = 8 << 20; // bytes
const SMALLEST = 64 << 10; // the server accepts smaller ones only as the last
const PAUSES_S = [1, 2, 4, 8, 15];
const TRIES = 20; // in a row, for more than four minutes
const SILENT_MS = 60_000;

/** The connection was not restored. The upload can be resumed at the same place. */
export class Broken extends Error {}

const wait = (seconds) => new Promise((resolve) => { setTimeout(resolve, 1000 * seconds); });

/** Ask how many bytes the server has. Resolves to null if it does not respond. */
async function ask({ path, token }) {
  const answer = await fetch(path, { method: "HEAD", headers: { "X-Upload-Token": token } }).catch(() => null);
  if (answer?.status === 401 || answer?.status === 410) {
    throw new Error(_("The upload has expired. Upload the file again."));
  }
  return answer?.ok ? Number(answer.headers.get("Upload-Offset")) : null;
}

/** Send the bytes from offset `at`. Resolves to the status (0 without a response) and the fields of the response. */
function sendSlice({ path, token }, slice, at, isLast, progress) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest(); // fetch reports no upload progress
    let silence = 0;
    const listen = () => {
      clearTimeout(silence);
      silence = setTimeout(() => request.abort(), SILENT_MS);
    };
    request.open("PATCH", path);
    request.responseType = "json";
    request.setRequestHeader("X-Upload-Token", token);
    request.setRequestHeader("Content-Type", "application/partial-upload");
    request.setRequestHeader("Upload-Offset", at);
    request.setRequestHeader("Upload-Complete", isLast ? "?1" : "?0");
    request.upload.addEventListener("progress", (event) => {
      listen();
      progress(at + event.loaded);
    });
    request.upload.addEventListener("loadend", () => clearTimeout(silence));
    request.addEventListener("loadend", () => {
      clearTimeout(silence);
      resolve({ status: request.status, ...request.response });
    });
    listen();
    request.send(slice);
  });
}

/** True if a retry can succeed. */
function mayPass({ status, error }, isEmpty) {
  if (status === 409) return !(isEmpty && error === "UPLOAD_USED"); // used by a split
  // 405: a process of an older version during an upgrade
  return status === 0 || status >= 500 || [405, 408, 429].includes(status) || error === "UPLOAD_INCOMPLETE";
}

/**
 * Upload a `file` to its reserved `place`, `{path, token}`, or resume that upload. Resolves to its storage key.
 *
 * `onProgress(sent, isBroken)` receives the bytes sent so far and if the connection is lost; `pause(seconds)` waits.
 * Rejects with `Broken` if the connection is not restored, and with another Error if the server rejects the file.
 */
export async function send(file, place, onProgress, pause = wait) {
  let kept = 0;
  let isKnown = false;
  let size = SLICE;
  let largest = SLICE;
  let failed = 0;
  while (failed < TRIES) {
    if (!isKnown) {
      const offset = await ask(place);
      isKnown = offset !== null;
      kept = offset ?? kept;
    }
    if (isKnown) {
      const end = Math.min(kept + size, file.size);
      const answer = await sendSlice(place, file.slice(kept, end), kept, end === file.size, onProgress);
      if (answer.status === 200) return answer.data.key;
      if (answer.status === 204) {
        kept = end;
        size = Math.min(2 * size, largest);
        failed = 0;
        continue;
      }
      if (answer.status === 413 && size > SMALLEST) {
        size /= 2; // a proxy limits the body size
        largest = size;
        continue;
      }
      if (!mayPass(answer, kept === file.size)) throw new Error(answer.message ?? _("The upload failed."));
      size = Math.max(size / 2, SMALLEST); // smaller slices get through a poor connection
      isKnown = false;
    }
    onProgress(kept, true);
    await pause(PAUSES_S[Math.min(failed, PAUSES_S.length - 1)]);
    failed += 1;
  }
  throw new Broken(_("The connection was lost. Press Split to resume the upload."));
}
