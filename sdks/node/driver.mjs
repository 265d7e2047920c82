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

const jobs = ({ kind = 'splits', split }) => (kind === 'mixes' ? client.mixes(split) : client[kind]);
const formOf = ({ format, bitDepth, timeout }) => ({ format, bitDepth, timeoutMs: timeout * 1000 });

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
  voices: () => client.listVoices(),
  create: ({ request, idempotencyKey, ...of }) => jobs(of).create(request, { idempotencyKey }),
  get: ({ id, ...of }) => jobs(of).get(id),
  async wait({ id, timeout, ...of }) {
    const updates = [];
    const onUpdate = (job) => updates.push(job.progress);
    return { job: await jobs(of).wait(id, { timeoutMs: timeout * 1000, onUpdate }), updates };
  },
  list: ({ status, ...of }) => list(jobs(of).iterate({ status })),
  cancel: ({ id, ...of }) => jobs(of).cancel(id),
  delete: ({ id, ...of }) => jobs(of).delete(id),
  async upload({ path, filename }) {
    const progress = [];
    return { upload: await client.uploadFile(path, { filename, onProgress: (sent) => progress.push(sent) }), progress };
  },
  download: ({ id, folder, ...of }) => jobs(of).download(id, folder),
  stem: ({ id, name, path, ...form }) => client.downloadStem(id, name, path, formOf(form)),
  archive: ({ id, path, ...form }) => client.downloadArchive(id, path, formOf(form)),
  peaks: ({ id, resolution }) => client.getPeaks(id, { resolution }),
  previews: ({ id, codec }) => client.getPreviews(id, { codec }),
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
