<?php

declare(strict_types=1);

namespace StemSplitter;

use StemSplitter\Exception\ConnectionFailed;
use StemSplitter\Exception\StemSplitterException;

/** Sends requests, and repeats those that can be repeated. */
final class Http
{
    public const VERSION = '0.1.0';
    public const RETRIED = [408, 429, 500, 502, 503, 504];
    private const FIRST_DELAY_S = 0.5;
    private const MAX_DELAY_S = 8.0;
    private const MAX_RETRY_AFTER_S = 120.0;

    /** @var callable(float): void */
    private $sleep;
    /** @var callable(string): void */
    private $log;

    public function __construct(
        private readonly float $timeout,
        public readonly int $maxRetries,
        ?callable $sleep,
        ?callable $log,
    ) {
        $this->sleep = $sleep ?? static fn (float $seconds) => usleep((int) ($seconds * 1e6));
        $this->log = $log ?? static fn () => null;
    }

    /**
     * Send a request once.
     *
     * @param array<string, string> $headers
     * @param array|string|null $body a string, or a stream and the number of its bytes to send
     * @param ?callable(Response, string): bool $read receives each part of the body of a response that is not an
     *     error, and returns whether to continue; the body is collected by default
     * @param ?float $silence seconds that the connection may be silent
     * @param float $limit seconds for all; 0 for any
     * @throws ConnectionFailed
     */
    public function send(
        string $method,
        string $url,
        array $headers,
        array|string|null $body = null,
        ?callable $read = null,
        ?float $silence = null,
        float $limit = 0,
    ): Response {
        $response = new Response();
        $thrown = null;
        $isStopped = false;
        $write = function ($_, string $part) use ($response, $read, &$thrown, &$isStopped): int {
            try {
                if ($read && $response->status < 400) {
                    $isStopped = !$read($response, $part);
                } else {
                    $response->body .= $part;
                }
            } catch (\Throwable $error) {
                $thrown = $error;
            }
            return $thrown || $isStopped ? -1 : strlen($part);
        };
        $all = ['User-Agent' => 'stemsplitter-php/' . self::VERSION, 'Content-Type' => '', 'Expect' => '', ...$headers];
        $lines = array_map(static fn ($name, $value) => "$name: $value", array_keys($all), $all);
        $curl = curl_init($url);
        curl_setopt_array($curl, [
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_NOBODY => $method === 'HEAD',
            CURLOPT_HTTPHEADER => array_map(static fn ($line) => rtrim($line), $lines),
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
            CURLOPT_CONNECTTIMEOUT_MS => (int) ($this->timeout * 1000),
            CURLOPT_LOW_SPEED_LIMIT => 1,
            CURLOPT_LOW_SPEED_TIME => (int) ceil($silence ?? $this->timeout),
            CURLOPT_TIMEOUT_MS => (int) ceil($limit * 1000),
            CURLOPT_HEADERFUNCTION => static fn ($_, string $line) => $response->readHeader($line),
            CURLOPT_WRITEFUNCTION => $write,
        ]);
        if (is_array($body)) {
            [$stream, $left] = $body;
            $next = static function ($_, $__, int $size) use ($stream, &$left): string {
                $part = $left > 0 ? (string) fread($stream, min($size, $left)) : '';
                $left -= strlen($part);
                return $part;
            };
            curl_setopt_array($curl, [
                CURLOPT_UPLOAD => true,
                CURLOPT_CUSTOMREQUEST => $method,
                CURLOPT_INFILESIZE => $left,
                CURLOPT_READFUNCTION => $next,
            ]);
        } elseif ($method === 'POST') {
            curl_setopt($curl, CURLOPT_POSTFIELDS, $body ?? '');
        }
        curl_exec($curl);
        if ($thrown) {
            throw $thrown;
        }
        if (curl_errno($curl) && !$isStopped) {
            throw new ConnectionFailed("$method $url failed: " . curl_error($curl) . '.');
        }
        return $response;
    }

    /**
     * Send a request until it succeeds. Responses 429 are always repeated; lost connections and errors of the server
     * only if it is repeatable.
     *
     * @param callable(): array<string, string> $headers
     * @param ?callable(Response, string): bool $read receives the parts of the body
     * @throws StemSplitterException
     */
    public function request(
        string $method,
        string $url,
        callable $headers,
        ?string $body = null,
        bool $isRepeatable = true,
        ?callable $read = null,
    ): Response {
        for ($attempt = 1;; $attempt++) {
            try {
                $response = $this->send($method, $url, $headers(), $body, $read);
                if ($response->status < 400) {
                    return $response;
                }
                $error = $response->error();
                // 409: the server is doing it for the same idempotency key
                $isBusy = $response->status === 409 && $error->retryAfter !== null;
                $again = $response->status === 429 || $isBusy;
                $again = $again || ($isRepeatable && in_array($response->status, self::RETRIED, true));
            } catch (ConnectionFailed $error) {
                $again = $isRepeatable;
            }
            $error->attempts = $attempt;
            if (!$again || $attempt > $this->maxRetries || $error->retryAfter > self::MAX_RETRY_AFTER_S) {
                throw $error;
            }
            $this->pause($attempt, $error);
        }
    }

    /** Wait before the next attempt, as long as the server asks for, else exponentially longer with jitter. */
    public function pause(int $attempt, StemSplitterException $error): void
    {
        $delay = min(self::FIRST_DELAY_S * 2 ** ($attempt - 1), self::MAX_DELAY_S) * random_int(500, 1000) / 1000;
        $delay = $error->retryAfter ?? $delay;
        ($this->log)(sprintf('retry %d in %.1f s: %s', $attempt, $delay, $error->getMessage()));
        $this->sleep($delay);
    }

    public function sleep(float $seconds): void
    {
        ($this->sleep)($seconds);
    }
}
