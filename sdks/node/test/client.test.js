// Behavior that is particular to Node; the conformance suite tests the rest.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { truncateSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  Aborted, AIStemSplitter, AIStemSplitterError, NotFound, StemSplitter, UploadError, verifyWebhook,
} from '../src/index.js';

const json = (data, status = 200) => new Response(JSON.stringify({ success: status < 300, data }), {
  status, headers: { 'content-type': 'application/json' },
});
const clientOf = (fetch, options) => new StemSplitter({ apiKey: 'key', baseUrl: 'http://x/v1/', fetch, ...options });

test('names of the other package exist', () => {
  assert.equal(AIStemSplitter, StemSplitter);
  assert.ok(new NotFound('') instanceof AIStemSplitterError);
});

test('missing key is reported', () => {
  assert.throws(() => new StemSplitter({ baseUrl: 'http://x' }), { code: 'CONFIG_ERROR', status: 0 });
});

test('stream is uploaded in chunks and a lost chunk is sent again', async () => {
  const sent = [];
  const fetch = async (url, { method, headers, body }) => {
    if (method === 'POST') {
      return json({ uploadId: 'u', uploadUrl: 'http://x/u', uploadHeaders: { 'X-Upload-Token': 't' }, expiresAt: '' });
    }
    if (method === 'HEAD') return new Response(null, { headers: { 'upload-offset': '3' } });
    sent.push(Buffer.from(body).toString());
    if (sent.length === 2) throw new TypeError('fetch failed');
    return headers['upload-complete'] === '?1' ? json({ url: 'f', key: 'k' }) : new Response(null, { status: 204 });
  };
  const data = new Blob(['abcdefgh']).stream();
  const client = clientOf(fetch, { chunkBytes: 3, sleep: async () => {} });
  const upload = await client.uploadAudio({ filename: 'a.mp3', data, contentLength: 8 });
  assert.deepEqual(sent, ['abc', 'def', 'def', 'gh']);
  assert.equal(upload.input.storageKey, 'k');
});

test('file that becomes shorter is reported', async () => {
  const path = join(await mkdtemp(join(tmpdir(), 'stems-')), 'a.mp3');
  await writeFile(path, 'abcdef');
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      const data = request.method === 'POST' ? { uploadId: 'u', uploadUrl: url, uploadHeaders: { 'X-Upload-Token': 't' }, expiresAt: '' } : null;
      response.end(JSON.stringify({ success: true, data }));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}`;
  const client = new StemSplitter({ apiKey: 'key', baseUrl: url, chunkBytes: 3 });
  await assert.rejects(client.uploadFile(path, { onProgress: () => truncateSync(path, 4) }), UploadError);
  server.closeAllConnections();
  server.close();
});

test('signal ends a wait', async () => {
  const controller = new AbortController();
  const client = clientOf(async () => json({ id: 's', status: 'queued', progress: 0 }));
  const onUpdate = () => controller.abort();
  await assert.rejects(client.waitForSplit('s', { signal: controller.signal, onUpdate }), Aborted);
});

test('retries are logged', async () => {
  const entries = [];
  let count = 0;
  const fetch = async () => (count++ ? json({ balance: 1 }) : json(null, 503));
  const client = clientOf(fetch, { log: (entry) => entries.push(entry.attempt), sleep: async () => {} });
  assert.equal((await client.getCredits()).balance, 1);
  assert.deepEqual(entries, [1]);
});

test('webhook headers of fetch are read', () => {
  assert.throws(() => verifyWebhook('{}', new Headers({ 'webhook-signature': 'v1,x' }), 'whsec_'), /timestamp/);
});
