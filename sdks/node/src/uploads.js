import { open } from 'node:fs/promises';
import { extname } from 'node:path';
import { ConnectionFailed, StemSplitterError, UploadError } from './errors.js';
import { failure, json, RETRIED } from './http.js';

export const CHUNK_BYTES = 4 << 20;
// without progress: the server needs up to a minute to detect that a connection was lost
const MAX_RETRIES = 10;
const TEMPORARY = new Set(['UPLOAD_INCOMPLETE', 'UPLOAD_IN_PROGRESS', 'UPLOAD_OFFSET_MISMATCH']);
const TYPES = {
  '.aac': 'audio/aac', '.aif': 'audio/aiff', '.aiff': 'audio/aiff', '.flac': 'audio/flac', '.m4a': 'audio/mp4',
  '.mov': 'video/quicktime', '.mp3': 'audio/mpeg', '.mp4': 'video/mp4', '.ogg': 'audio/ogg', '.opus': 'audio/ogg',
  '.wav': 'audio/wav', '.webm': 'video/webm',
};

export const contentTypeOf = (name) => TYPES[extname(name).toLowerCase()] ?? 'application/octet-stream';

/** Call `use` with a source of a file: its size, and a function that reads a chunk. */
export async function withFile(path, use) {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    let buffer; // of all chunks: each is valid until the next
    const read = async (offset, length) => {
      const count = Math.min(length, size - offset);
      buffer ??= Buffer.alloc(count);
      const { bytesRead } = await file.read(buffer, 0, count, offset);
      if (bytesRead < count) throw new UploadError('The file became shorter while it was sent.');
      return buffer.subarray(0, count);
    };
    return await use({ size, read });
  } finally {
    await file.close();
  }
}

/** Return the source of data in memory or of a stream. */
export function sourceOf(data, contentLength) {
  if (data instanceof Blob) {
    const read = async (offset, length) => new Uint8Array(await data.slice(offset, offset + length).arrayBuffer());
    return { size: data.size, read };
  }
  if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) {
    const bytes = data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return { size: bytes.length, read: async (offset, length) => bytes.subarray(offset, offset + length) };
  }
  if (contentLength === undefined) {
    throw new StemSplitterError('contentLength is required for streams.', 0, 'VALIDATION_ERROR');
  }
  const parts = data[Symbol.asyncIterator]();
  let [chunk, rest, start] = [Buffer.alloc(0), Buffer.alloc(0), 0];
  const read = async (offset, length) => {
    if (offset === start && chunk.length) return chunk; // the server stored nothing of it
    const found = [rest];
    let size = rest.length;
    while (size < length) {
      const { value, done } = await parts.next();
      if (done) break;
      found.push(value);
      size += value.length;
    }
    const all = Buffer.concat(found);
    [chunk, rest, start] = [all.subarray(0, length), all.subarray(length), offset];
    return chunk;
  };
  return { size: contentLength, read };
}

/** Send a source to a reserved upload, in chunks; continue after a lost connection. Returns `url` and `key`. */
export async function sendFile(http, reservation, source, { chunkBytes, onProgress, signal }) {
  const url = reservation.uploadUrl;
  const token = { 'x-upload-token': reservation.uploadHeaders['X-Upload-Token'] };
  let offset = 0;
  let failures = 0;
  for (;;) {
    const chunk = await source.read(offset, chunkBytes);
    const end = offset + chunk.length;
    if (!chunk.length && offset < source.size) {
      throw new UploadError('The data is shorter than contentLength.');
    }
    const headers = {
      ...token,
      'content-type': 'application/partial-upload',
      'content-length': String(chunk.length), // of a stream
      'upload-offset': String(offset),
      'upload-complete': end >= source.size ? '?1' : '?0',
    };
    try {
      const sent = await http.send('PATCH', url, { headers, body: chunk, signal }, async (response) => {
        if (response.ok) return json(response);
        throw await failure(response);
      });
      [failures, offset] = [0, end];
      onProgress?.(end, source.size);
      if (end >= source.size) return sent.data;
    } catch (error) {
      const isTemporary = error instanceof ConnectionFailed || RETRIED.has(error.status) || TEMPORARY.has(error.code);
      failures += 1;
      if (!isTemporary || failures > MAX_RETRIES) throw error;
      if (error.code !== 'UPLOAD_OFFSET_MISMATCH') await http.pause(failures, error, signal);
      const read = (response) => Number(response.headers.get('upload-offset'));
      const stored = await http.request('HEAD', url, { headers: () => token, signal, read });
      if (stored > offset) failures = 0;
      offset = stored;
    }
  }
}
