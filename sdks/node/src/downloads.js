import { mkdir, mkdtemp, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Aborted, ConnectionFailed, DownloadError } from './errors.js';
import { failure, RETRIED } from './http.js';

/** Download links into files of a folder, named by their keys, which appear together when all are complete. */
export async function downloadFiles(http, links, folder, signal) {
  const files = {};
  for (const [name, url] of Object.entries(links)) {
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(name)) throw new DownloadError(`${name} is not a file name.`);
    const extension = /\.([a-z0-9]{2,5})(\?.*)?$/.exec(url)?.[1] ?? 'audio';
    files[name] = join(folder, `${name}.${extension}`);
  }
  await hidden(folder, async (temporary) => {
    for (const [name, url] of Object.entries(links)) await download(http, url, {}, join(temporary, name), signal);
    for (const [name, file] of Object.entries(files)) await rename(join(temporary, name), file);
  });
  return files;
}

/** Download a file, which appears when it is complete. */
export async function downloadFile(http, url, headers, path, signal) {
  await hidden(dirname(path), async (temporary) => {
    const file = join(temporary, 'file');
    await download(http, url, headers, file, signal);
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

/** Download into a file and verify its length; continue after a lost connection. */
async function download(http, url, headers, path, signal) {
  const file = await open(path, 'w');
  let written = 0;
  let etag = '';
  const write = async (response, received) => {
    if (!response.ok) throw await failure(response);
    if (response.status !== 206) written = 0;
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
  };
  try {
    for (let attempt = 1; ; attempt += 1) {
      const range = etag && written ? { range: `bytes=${written}-`, 'if-range': etag } : {};
      try {
        return await http.send('GET', url, { headers: { ...headers, ...range }, signal }, write);
      } catch (error) {
        const isLost = error instanceof ConnectionFailed;
        if (error instanceof Aborted || !(isLost || RETRIED.has(error.status))) throw error;
        if (attempt > http.maxRetries) {
          throw isLost ? new DownloadError(`${basename(path)} was not received completely: ${error.message}`, error) : error;
        }
        await http.pause(attempt, error, signal);
      }
    }
  } finally {
    await file.close();
  }
}
