// Sends a file in slices. What the server has of it stays when the connection breaks, and the rest is sent after it
// (draft-ietf-httpbis-resumable-upload; the server's side is stemsplitter.uploads).

const SLICE = 8 << 20; // bytes
const SMALLEST = 64 << 10; // the server takes no smaller ones but the last
const PAUSES_S = [1, 2, 4, 8, 15];
const TRIES = 20; // in a row, which takes more than four minutes
const SILENT_MS = 60_000;

/** The connection did not come back. What was sent stays: send the file to the same place once more. */
export class Broken extends Error {}

const wait = (seconds) => new Promise((resolve) => { setTimeout(resolve, 1000 * seconds); });

/** Ask how many bytes the server has. Resolves to null where it does not answer. */
async function ask({ path, token }) {
  const answer = await fetch(path, { method: "HEAD", headers: { "X-Upload-Token": token } }).catch(() => null);
  if (answer?.status === 401 || answer?.status === 410) {
    throw new Error("The time to send this file is over: send it again.");
  }
  return answer?.ok ? Number(answer.headers.get("Upload-Offset")) : null;
}

/** Send the bytes from `at` on. Resolves to the answer's status, 0 where there is none, and what is in it. */
function sendSlice({ path, token }, slice, at, isLast, progress) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest(); // fetch tells nothing while it sends
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

/** Whether the same may go well later. */
function mayPass({ status, error }, isEmpty) {
  if (status === 409) return !(isEmpty && error === "UPLOAD_USED"); // a split has it
  // 405: an older process, while several are upgraded
  return status === 0 || status >= 500 || [405, 408, 429].includes(status) || error === "UPLOAD_INCOMPLETE";
}

/**
 * Send a `file` to its reserved `place`, `{path, token}`, or go on with that. Resolves to its key.
 *
 * `tell(sent, isBroken)` is called with the bytes that were sent, and when it broke; `pause(seconds)` waits.
 * Rejects with `Broken` where it does not come back, and with another Error where the server refuses the file.
 */
export async function send(file, place, tell, pause = wait) {
  let kept = 0;
  let isKnown = false;
  let size = SLICE;
  let largest = SLICE;
  let failed = 0;
  while (failed < TRIES) {
    if (!isKnown) {
      const told = await ask(place);
      isKnown = told !== null;
      kept = told ?? kept;
    }
    if (isKnown) {
      const end = Math.min(kept + size, file.size);
      const answer = await sendSlice(place, file.slice(kept, end), kept, end === file.size, tell);
      if (answer.status === 200) return answer.data.key;
      if (answer.status === 204) {
        kept = end;
        size = Math.min(2 * size, largest);
        failed = 0;
        continue;
      }
      if (answer.status === 413 && size > SMALLEST) {
        size /= 2; // a proxy on the way takes less at once
        largest = size;
        continue;
      }
      if (!mayPass(answer, kept === file.size)) throw new Error(answer.message ?? "The file was not taken.");
      size = Math.max(size / 2, SMALLEST); // so that something comes through between two breaks
      isKnown = false;
    }
    tell(kept, true);
    await pause(PAUSES_S[Math.min(failed, PAUSES_S.length - 1)]);
    failed += 1;
  }
  throw new Broken("The connection did not come back: press Split to go on from where it broke off.");
}
