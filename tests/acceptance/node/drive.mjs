// Uploads a song, splits it, waits, and saves every stem with the unmodified client.
import { readFile, writeFile } from 'node:fs/promises';
import { AIStemSplitter } from '@aistemsplitter/sdk';

const [baseUrl, apiKey, song, folder] = process.argv.slice(2);
const client = new AIStemSplitter({ apiKey, baseUrl });
const before = await client.getCredits();
const uploaded = await client.uploadAudio({
  filename: 'song.flac',
  contentType: 'audio/flac',
  data: new Uint8Array(await readFile(song)),
});
const created = await client.createSplit(
  { input: uploaded.input, stemModel: '4s', outputFormat: 'flac' },
  { idempotencyKey: 'node-1' },
);
const split = await client.waitForSplit(created.id, { intervalMs: 200, timeoutMs: 120000 });
for (const [stem, url] of Object.entries(split.stems)) {
  await writeFile(`${folder}/${stem}.flac`, new Uint8Array(await (await fetch(url)).arrayBuffer()));
}
let refused;
try {
  await client.getSplit('split_unknown');
} catch (error) {
  refused = { name: error.name, status: error.status, code: error.code };
}
const after = await client.getCredits();
console.log(JSON.stringify({ before, created, split, refused, after }));
