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
const formOf = ({ timeout, ...format }) => ({ ...format, timeoutMs: timeout * 1000 });

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
  models: () => client.listModels(),
  voices: () => client.listVoices(),
  create: ({ request, idempotencyKey, ...of }) => jobs(of).create(request, { idempotencyKey }),
  get: ({ id, ...of }) => jobs(of).get(id),
  async chords({ id, ...of }) {
    const job = await jobs(of).get(id);
    return (job.analysis ?? job).chords;
  },
  async wait({ id, timeout, ...of }) {
    const updates = [];
    const onUpdate = (job) => updates.push(job.progress);
    return { job: await jobs(of).wait(id, { timeoutMs: timeout * 1000, onUpdate }), updates };
  },
  list: ({ status, splitId, endpointId, ...of }) => list(jobs(of).iterate({ status, splitId, endpointId })),
  cancel: ({ id, ...of }) => jobs(of).cancel(id),
  delete: ({ id, ...of }) => jobs(of).delete(id),
  async upload({ path, filename }) {
    const progress = [];
    return { upload: await client.uploadFile(path, { filename, onProgress: (sent) => progress.push(sent) }), progress };
  },
  download: ({ id, folder, ...of }) => jobs(of).download(id, folder),
  stem: ({ id, name, path, ...form }) => client.downloadStem(id, name, path, formOf(form)),
  archive: ({ id, path, ...form }) => client.downloadArchive(id, path, formOf(form)),
  cover: ({ id, path }) => client.downloadCover(id, path),
  peaks: ({ id, resolution }) => client.getPeaks(id, { resolution }),
  previews: ({ id, codec }) => client.getPreviews(id, { codec }),
  rotate: () => client.rotateWebhookSecret(),
  test_webhook: ({ url }) => client.sendTestWebhook(url),
  secrets: () => client.listWebhookSecrets(),
  replay: ({ id }) => client.replayDelivery(id),
  create_endpoint: ({ request }) => client.webhookEndpoints.create(request),
  get_endpoint: ({ id }) => client.webhookEndpoints.get(id),
  list_endpoints: () => client.webhookEndpoints.list(),
  update_endpoint: ({ id, request }) => client.webhookEndpoints.update(id, request),
  delete_endpoint: ({ id }) => client.webhookEndpoints.delete(id),
  rotate_endpoint: ({ id }) => client.webhookEndpoints.rotateSecret(id),
  test_endpoint: ({ id }) => client.webhookEndpoints.sendTest(id),
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
