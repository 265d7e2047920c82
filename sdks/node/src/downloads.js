import { mkdir, mkdtemp, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ConnectionFailed, DownloadError, WaitTimeout } from './errors.js';
import { retryAfterOf } from './http.js';

const MAX_HOPS = 5;

/** Download links into files of a folder, named by their keys, which appear together when all are complete. */
export async function downloadFiles(http, links, folder, signal) {
  const files = {};
  for (const [name, url] of Object.entries(links)) {
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(name)) throw new DownloadError(`${name} is not a file name.`);
    const extension = /\.([a-z0-9]{2,5})(\?.*)?$/.exec(url)?.[1] ?? 'audio';
    files[name] = join(folder, `${name}.${extension}`);
  }
  await hidden(folder, async (temporary) => {
    for (const [name, url] of Object.entries(links)) await download(http, url, {}, join(temporary, name), { signal });
    for (const [name, file] of Object.entries(files)) await rename(join(temporary, name), file);
  });
  return files;
}

/** Download a file, which appears when it is complete. */
export async function downloadFile(http, url, headers, path, options) {
  await hidden(dirname(path), async (temporary) => {
    const file = join(temporary, basename(path));
    await download(http, url, headers, file, options);
    await rename(file, path);
  });
  return path;
}

async function hidden(folder, use) {
  await mkdir(folder, { recursive: true });
  const temporary = await mkdtemp(join(folder, '.stems-'));
  try {
    await use(temporary);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Download into a file and verify its length; continue after a lost connection, and wait until the server has it. */
async function download(http, url, headers, path, { timeoutMs = 0, signal }) {
  const deadline = performance.now() + timeoutMs;
  const file = await open(path, 'w');
  let written = 0;
  let etag = '';
  const ranged = () => ({ ...headers, ...(etag && written ? { range: `bytes=${written}-`, 'if-range': etag } : {}) });
  const read = async (response, received) => {
    if (response.status !== 200 && response.status !== 206) {
      await response.text();
      return response;
    }
    if (response.status === 200) written = 0;
    await file.truncate(written);
    const tag = response.headers.get('etag') ?? '';
    etag = tag.startsWith('"') ? tag : '';
    const length = response.headers.get('content-length');
    const expected = length === null || response.headers.has('content-encoding') ? undefined : written + Number(length);
    for await (const part of response.body ?? []) {
      received();
      await file.write(part, 0, part.length, written);
      written += part.length;
    }
    if (expected !== undefined && written !== expected) throw new Error(`${written} of ${expected} bytes were received`);
    return response;
  };
  try {
    for (let hops = 0; ;) {
      const response = await http.request('GET', url, { headers: ranged, signal, read });
      if (response.status === 200 || response.status === 206) return;
      const location = response.headers.get('location');
      if (location && hops < MAX_HOPS) {
        [url, headers, hops] = [location, {}, hops + 1]; // without the key
      } else if (response.status !== 202) {
        throw new DownloadError(`${basename(path)} was not received: status ${response.status}.`);
      } else if (performance.now() >= deadline) {
        throw new WaitTimeout(`Timed out waiting for ${basename(path)}.`);
      } else {
        await http.sleep((retryAfterOf(response) ?? 1) * 1000, signal);
      }
    }
  } catch (error) {
    if (!(error instanceof ConnectionFailed)) throw error;
    throw new DownloadError(`${basename(path)} was not received completely: ${error.message}`, error);
  } finally {
    await file.close();
  }
}
