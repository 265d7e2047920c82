<?php

declare(strict_types=1);

namespace StemSplitter;

use StemSplitter\Exception\InvalidSignature;

/** Verification of webhooks. */
final class Webhook
{
    private const HEADER = 'aistemsplitter-signature';

    /**
     * Verify a webhook and return its event.
     *
     * @param string $body the raw body, as received
     * @param array<string, string>|string $headers the headers of the request, such as of `getallheaders()`, or the
     *     value of `AIStemSplitter-Signature`. The headers of Standard Webhooks are verified too, if present.
     * @param string $secret the signing secret, `whsec_…`
     * @param float $tolerance the largest age in seconds
     * @param ?float $now Unix time of the arrival; the present by default
     * @throws InvalidSignature a signature is missing, wrong or too old
     */
    public static function verify(
        string $body,
        array|string $headers,
        string $secret,
        float $tolerance = 300,
        ?float $now = null,
    ): array {
        $given = is_string($headers) ? [self::HEADER => $headers] : array_change_key_case($headers);
        $own = $given[self::HEADER] ?? null;
        $standard = $given['webhook-signature'] ?? null;
        if ($secret === '' || ($own === null && $standard === null)) {
            throw new InvalidSignature('The request has no signature, or the secret is empty.');
        }
        if ($own !== null) {
            $parts = array_map('trim', explode(',', $own));
            $times = preg_grep('/^t=/', $parts);
            $unix = count($times) === 1 ? substr(end($times), 2) : '';
            self::check($unix, $tolerance, $now);
            self::match('v1=' . hash_hmac('sha256', "$unix.$body", $secret), $parts);
        }
        if ($standard !== null) {
            $unix = $given['webhook-timestamp'] ?? '';
            self::check($unix, $tolerance, $now);
            $key = base64_decode((string) preg_replace('/^whsec_/', '', $secret), true);
            if ($key === false) {
                throw new InvalidSignature('The secret must be whsec_ and base64.');
            }
            $signed = ($given['webhook-id'] ?? '') . ".$unix.$body";
            $digest = base64_encode(hash_hmac('sha256', $signed, $key, true));
            self::match("v1,$digest", explode(' ', $standard));
        }
        return json_decode($body, true) ?? throw new InvalidSignature('The body is not JSON.');
    }

    private static function check(string $unix, float $tolerance, ?float $now): void
    {
        if (!preg_match('/^[0-9]{1,11}$/D', $unix)) {
            throw new InvalidSignature('The timestamp is missing or malformed.');
        }
        if (abs(($now ?? microtime(true)) - (int) $unix) > $tolerance) {
            throw new InvalidSignature("The timestamp differs from the time by more than $tolerance seconds.");
        }
    }

    /** @param string[] $given */
    private static function match(string $expected, array $given): void
    {
        foreach ($given as $each) {
            if (hash_equals($expected, $each)) {
                return;
            }
        }
        throw new InvalidSignature('No signature matches the body and the secret.');
    }
}
