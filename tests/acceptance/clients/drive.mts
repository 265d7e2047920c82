// Uploads a song, splits it, polls, and downloads a stem with a client on generated types.
import createClient from 'openapi-fetch';
import type { paths } from './api.d.ts';

declare const process: { argv: string[] };

const [baseUrl, apiKey, seconds] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${apiKey}` } });

function tone(length: number): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(44 + 8000 * length));
  const text = (at: number, value: string) => [...value].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, 'RIFF');
  view.setUint32(4, view.byteLength - 8, true);
  text(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, 8000, true);
  view.setUint32(28, 8000, true);
  view.setUint16(32, 1, true);
  view.setUint16(34, 8, true);
  text(36, 'data');
  view.setUint32(40, 8000 * length, true);
  for (let i = 0; i < 8000 * length; i += 1) view.setUint8(44 + i, 128 + Math.round(60 * Math.sin(i / 3)));
  return new Uint8Array(view.buffer);
}

function given<Data>(answer: { data?: { data: Data }; error?: unknown }): Data {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data.data;
}

const before = given(await client.GET('/v1/credits'));
const song = tone(Number(seconds));
const reserved = given(
  await client.POST('/v1/audio/uploads', {
    body: { filename: 'tone.wav', contentType: 'audio/wav', contentLength: song.length },
  }),
);
const received = given(
  await client.POST('/uploads/{upload_id}', {
    params: { path: { upload_id: reserved.uploadId } },
    headers: reserved.uploadHeaders,
    body: 'the serializer sends the song',
    bodySerializer: () => song,
  }),
);
const created = given(
  await client.POST('/v1/audio/splits', {
    params: { header: { 'idempotency-key': 'typescript-1' } },
    body: {
      input: {
        type: 'uploaded_file',
        uploadId: reserved.uploadId,
        fileUrl: received.url,
        storageKey: received.key,
      },
      stemModel: '4s',
      outputFormat: 'wav',
      bitDepth: 16,
      priority: 'normal',
      metadata: {},
    },
  }),
);
const path = { split_id: created.id };
let split = given(await client.GET('/v1/audio/splits/{split_id}', { params: { path } }));
while (split.status === 'queued' || split.status === 'processing') {
  await new Promise((resolve) => setTimeout(resolve, 200));
  split = given(await client.GET('/v1/audio/splits/{split_id}', { params: { path } }));
}
const vocals = split.stems?.vocals;
const stem = vocals === undefined ? undefined : await (await fetch(vocals)).arrayBuffer();
const archive = await client.GET('/v1/audio/splits/{split_id}/archive', {
  params: { path },
  parseAs: 'arrayBuffer',
});
const missing = await client.GET('/v1/audio/splits/{split_id}', { params: { path: { split_id: 'split_unknown' } } });
const after = given(await client.GET('/v1/credits'));
console.log(
  JSON.stringify({
    status: split.status,
    stems: Object.keys(split.stems ?? {}),
    stemBytes: stem?.byteLength,
    archiveBytes: archive.data === undefined ? 0 : (archive.data as unknown as ArrayBuffer).byteLength,
    refused: missing.error?.error.code,
    spent: before.balance - after.balance,
  }),
);
