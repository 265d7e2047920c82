import { createHmac, timingSafeEqual } from 'crypto';

const TOLERANCE_S = 300;

/** Returns true if a header `t=…,v1=…` has a signature of the body that is at most five minutes old. */
export function isGenuine(body: Buffer, header: string, secret: string, now: number): boolean {
	const parts = header.split(',').map((part) => part.trim().split('='));
	const times = parts.filter(([name]) => name === 't').map(([, value]) => value);
	if (!secret || times.length !== 1 || !/^[0-9]{1,11}$/.test(times[0])) return false;
	if (Math.abs(now - Number(times[0])) > TOLERANCE_S) return false;
	const expected = createHmac('sha256', secret).update(`${times[0]}.`).update(body).digest('hex');
	return parts.some(([name, value]) => name === 'v1' && isEqual(value, expected));
}

function isEqual(given: string, expected: string): boolean {
	const [one, other] = [Buffer.from(given), Buffer.from(expected)];
	return one.length === other.length && timingSafeEqual(one, other);
}
