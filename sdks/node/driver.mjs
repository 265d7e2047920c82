// Driver of the conformance suite: see sdks/conformance/PROTOCOL.md.
import { createInterface } from 'node:readline';
import { StemSplitter, verifyWebhook } from './src/index.js';

let client;
let slept = [];

async function list(iterator) {
  const ids = [];
  for await (const split of iterator) ids.push(split.id);
  return ids;
}

const OPERATIONS = {
  new({ apiKey, baseUrl, chunkBytes, isFast }) {
    const sleep = async (ms) => {
      slept.push(ms / 1000);
      if (!isFast) await new Promise((resolve) => { setTimeout(resolve, ms); });
    };
    client = new StemSplitter({ apiKey, baseUrl, chunkBytes, sleep });
    return null;
  },
  credits: () => client.getCredits(),
  create: ({ request, idempotencyKey }) => client.createSplit(request, { idempotencyKey }),
  get: ({ id }) => client.getSplit(id),
  async wait({ id, timeout }) {
    const updates = [];
    const onUpdate = (split) => updates.push(split.progress);
    return { split: await client.waitForSplit(id, { timeoutMs: timeout * 1000, onUpdate }), updates };
  },
  list: ({ status }) => list(client.iterateSplits({ status })),
  cancel: ({ id }) => client.cancelSplit(id),
  delete: ({ id }) => client.deleteSplit(id),
  async upload({ path, filename }) {
    const progress = [];
    return { upload: await client.uploadFile(path, { filename, onProgress: (sent) => progress.push(sent) }), progress };
  },
  stems: ({ id, folder }) => client.downloadStems(id, folder),
  archive: ({ id, path }) => client.downloadArchive(id, path),
  rotate: () => client.rotateWebhookSecret(),
  test_webhook: ({ url }) => client.sendTestWebhook(url),
  verify: ({ body, headers, secret, tolerance, now }) => verifyWebhook(Buffer.from(body), headers, secret, tolerance, now),
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  slept = [];
  let result;
  try {
    result = { ok: await OPERATIONS[command.op](command) };
  } catch (error) {
    if (error.code === undefined) console.error(error);
    result = { error: { ...error, message: error.message } };
  }
  console.log(JSON.stringify({ ...result, slept }));
}
