import { createHmac, timingSafeEqual } from 'node:crypto';
import { InvalidSignature } from './errors.js';

const HEADER = 'aistemsplitter-signature';

/** Verify a webhook and return its event; see index.d.ts. */
export function verifyWebhook(body, headers, secret, tolerance = 300, now = Date.now() / 1000) {
  if (!secret) throw new InvalidSignature('The secret is empty.');
  const raw = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.buffer ?? body, body.byteOffset, body.byteLength);
  const entries = headers instanceof Headers ? [...headers] : Object.entries(headers);
  const lower = Object.fromEntries(entries.map(([name, value]) => [name.toLowerCase(), String(value)]));
  const given = typeof headers === 'string' ? { [HEADER]: headers } : lower;
  if (given[HEADER] === undefined && given['webhook-signature'] === undefined) {
    throw new InvalidSignature('The request has no signature.');
  }
  if (given[HEADER] !== undefined) {
    const parts = given[HEADER].split(',').map((part) => part.trim());
    const times = parts.filter((part) => part.startsWith('t=')).map((part) => part.slice(2));
    if (times.length !== 1) throw new InvalidSignature('AIStemSplitter-Signature is malformed.');
    checkAge(times[0], tolerance, now);
    const digest = createHmac('sha256', secret).update(`${times[0]}.`).update(raw).digest('hex');
    match(`v1=${digest}`, parts);
  }
  if (given['webhook-signature'] !== undefined) {
    const unix = given['webhook-timestamp'] ?? '';
    checkAge(unix, tolerance, now);
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    const signed = createHmac('sha256', key).update(`${given['webhook-id'] ?? ''}.${unix}.`).update(raw);
    match(`v1,${signed.digest('base64')}`, given['webhook-signature'].split(' '));
  }
  try {
    return JSON.parse(raw.toString('utf8'));
  } catch {
    throw new InvalidSignature('The body is not JSON.');
  }
}

function checkAge(unix, tolerance, now) {
  if (!/^[0-9]{1,11}$/.test(unix)) throw new InvalidSignature('The timestamp is missing or malformed.');
  if (Math.abs(now - Number(unix)) > tolerance) {
    throw new InvalidSignature(`The timestamp differs from the time by more than ${tolerance} seconds.`);
  }
}

function match(expected, given) {
  const wanted = Buffer.from(expected);
  const isEqual = (each) => each.length === wanted.length && timingSafeEqual(each, wanted);
  if (!given.some((each) => isEqual(Buffer.from(each)))) {
    throw new InvalidSignature('No signature matches the body and the secret.');
  }
}
