<?php

declare(strict_types=1);

namespace StemSplitter;

use StemSplitter\Exception\ConfigError;
use StemSplitter\Exception\StemSplitterException;

/** Client of a Stem Splitter server. Methods return the `data` of the API's responses. */
final class Client
{
    public readonly string $baseUrl;
    public readonly Http $http;
    public readonly Jobs $splits;
    public readonly Jobs $analyses;
    public readonly Jobs $effects;
    public readonly Jobs $speech;
    public readonly WebhookEndpoints $webhookEndpoints;
    public readonly Collection $deliveries;
    private readonly string $apiKey;

    /**
     * @param string $apiKey `ast_live_…`; the environment variable `STEMSPLITTER_KEY` by default
     * @param string $baseUrl address of the server, with or without `/v1`; `STEMSPLITTER_URL` by default
     * @param float $timeout seconds that a connection may be silent
     * @param int $maxRetries repetitions of a request after a lost connection, a response 429 or an error of the server
     * @param int $chunkBytes size of the chunks of uploads, at least 65536
     * @param ?callable(float): void $sleep waits a number of seconds
     * @param ?callable(string): void $log receives a line before each retry
     * @throws ConfigError there is no key or no address
     */
    public function __construct(
        string $apiKey = '',
        string $baseUrl = '',
        float $timeout = 60,
        int $maxRetries = 4,
        private readonly int $chunkBytes = 8 << 20,
        ?callable $sleep = null,
        ?callable $log = null,
    ) {
        $this->apiKey = $apiKey ?: (string) getenv('STEMSPLITTER_KEY');
        $address = rtrim($baseUrl ?: (string) getenv('STEMSPLITTER_URL'), '/');
        if ($this->apiKey === '') {
            throw new ConfigError('Missing API key: pass apiKey or set STEMSPLITTER_KEY.');
        }
        if ($address === '') {
            throw new ConfigError('Missing address of the server: pass baseUrl or set STEMSPLITTER_URL.');
        }
        $this->baseUrl = str_ends_with($address, '/v1') ? $address : "$address/v1";
        $this->http = new Http($timeout, $maxRetries, $sleep, $log);
        $this->splits = new Jobs($this, '/audio/splits');
        $this->analyses = new Jobs($this, '/audio/analyses');
        $this->effects = new Jobs($this, '/audio/effects');
        $this->speech = new Jobs($this, '/audio/speech');
        $this->webhookEndpoints = new WebhookEndpoints($this, '/webhook_endpoints');
        $this->deliveries = new Collection($this, '/webhooks/deliveries');
    }

    /** Mixes of a split. They can be neither canceled nor deleted: they end with the split. */
    public function mixes(string $splitId): Jobs
    {
        return new Jobs($this, $this->splits->at($splitId) . '/mixes', hasEvents: false);
    }

    /** The account's `balance`, in seconds of audio. */
    public function getCredits(): array
    {
        return $this->request('GET', '/credits');
    }

    /** The models of the server, the preferred one first. */
    public function listModels(): array
    {
        return $this->request('GET', '/models')['items'];
    }

    /** The voices of speech. */
    public function listVoices(): array
    {
        return $this->request('GET', '/voices')['items'];
    }

    /**
     * Upload a file in chunks; continues after a lost connection. `input` of the result is the input of a job.
     *
     * @param ?callable(int, int): void $onProgress receives the bytes sent and the size, after each chunk
     */
    public function uploadFile(
        string $path,
        string $filename = '',
        string $contentType = '',
        ?callable $onProgress = null,
    ): array {
        $file = @fopen($path, 'rb') ?: throw new \RuntimeException("$path cannot be read.");
        try {
            return $this->uploadStream($file, $filename ?: basename($path), null, $contentType, $onProgress);
        } finally {
            fclose($file);
        }
    }

    /**
     * Upload a stream that can seek, like uploadFile.
     *
     * @param resource $stream
     * @param ?int $size in bytes; that of the file by default
     */
    public function uploadStream(
        $stream,
        string $filename,
        ?int $size = null,
        string $contentType = '',
        ?callable $onProgress = null,
    ): array {
        $reservation = $this->request('POST', '/audio/uploads', [
            'filename' => $filename,
            'contentType' => $contentType ?: Upload::contentTypeOf($filename),
            'contentLength' => $size ??= fstat($stream)['size'],
        ], self::newKey());
        $upload = new Upload($this->http, $reservation, $stream, $size, $this->chunkBytes);
        $sent = $upload->send($onProgress ?? static fn () => null);
        $found = ['uploadId' => $reservation['uploadId'], 'fileUrl' => $sent['url'], 'storageKey' => $sent['key']];
        $input = ['type' => 'uploaded_file', ...$found];
        return [...$found, 'expiresAt' => $reservation['expiresAt'], 'input' => $input];
    }

    /**
     * Download a stem, or `no_` and its name for the song without it, in any format. The file appears when it is
     * complete.
     *
     * @param float $timeout seconds until the server has made it
     */
    public function downloadStem(
        string $splitId,
        string $name,
        string $path,
        ?string $format = null,
        ?string $bitDepth = null,
        ?int $bitrate = null,
        float $timeout = 300,
    ): string {
        $from = '/stems/' . rawurlencode($name);
        return $this->download($splitId, $from, $path, compact('format', 'bitDepth', 'bitrate'), $timeout);
    }

    /** Download all stems in a ZIP archive, or with the format `stem.mp4` in one Native Instruments Stem file. */
    public function downloadArchive(
        string $splitId,
        string $path,
        ?string $format = null,
        ?string $bitDepth = null,
        ?int $bitrate = null,
        float $timeout = 300,
    ): string {
        return $this->download($splitId, '/archive', $path, compact('format', 'bitDepth', 'bitrate'), $timeout);
    }

    /** Download the cover of the song, a small JPEG. Throws NotFound if it has none. */
    public function downloadCover(string $splitId, string $path): string
    {
        return $this->download($splitId, '/cover', $path, [], 0);
    }

    /** The peaks of the stems, to draw waveforms: `overview` or `full`. */
    public function getPeaks(string $splitId, ?string $resolution = null): array
    {
        return $this->request('GET', $this->splits->at($splitId) . '/peaks' . self::query(compact('resolution')));
    }

    /**
     * Links to small files of the stems for a player, in `opus` or `aac`. There is `status` instead of `stems` while
     * the server makes them.
     */
    public function getPreviews(string $splitId, ?string $codec = null): array
    {
        return $this->request('GET', $this->splits->at($splitId) . '/previews' . self::query(compact('codec')));
    }

    /** Create a signing secret for URLs that are part of requests. The previous one stays active for 24 hours. */
    public function rotateWebhookSecret(): string
    {
        return $this->request('POST', '/webhooks/secrets/rotate', isRepeatable: false)['secret'];
    }

    /** The active signing secrets, without their values. */
    public function listWebhookSecrets(): array
    {
        return $this->request('GET', '/webhooks/secrets')['items'];
    }

    /** Send a test event. Returns its delivery. */
    public function sendTestWebhook(string $url): array
    {
        return $this->request('POST', '/webhooks/test', ['url' => $url], isRepeatable: false);
    }

    /** Deliver an event again. Returns the new delivery. */
    public function replayDelivery(string $deliveryId): array
    {
        return $this->request('POST', $this->deliveries->at($deliveryId) . '/replay', isRepeatable: false);
    }

    /**
     * Send a request to a path of the API. Returns `data` of the response.
     *
     * @throws StemSplitterException
     */
    public function request(
        string $method,
        string $path,
        ?array $body = null,
        ?string $idempotencyKey = null,
        bool $isRepeatable = true,
    ): array {
        $headers = $this->headers() + ($idempotencyKey ? ['Idempotency-Key' => $idempotencyKey] : []);
        $content = null;
        if ($body !== null) {
            $headers['Content-Type'] = 'application/json';
            $flags = JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR;
            $content = json_encode($body, $flags);
        }
        $url = $this->baseUrl . $path;
        $answer = $this->http->request($method, $url, static fn () => $headers, $content, $isRepeatable)->json();
        return $answer['data'] ?? throw new StemSplitterException(
            'The response is not of the API: check baseUrl.',
            200,
            'HTTP_ERROR',
            $answer,
        );
    }

    /** @return array<string, string> */
    public function headers(string $accept = 'application/json'): array
    {
        return ['Accept' => $accept, 'Authorization' => "Bearer $this->apiKey"];
    }

    /** The part of a URL with the values that are not null. */
    public static function query(array $values): string
    {
        $query = http_build_query($values, '', '&', PHP_QUERY_RFC3986);
        return $query === '' ? '' : "?$query";
    }

    public static function newKey(): string
    {
        return bin2hex(random_bytes(16));
    }

    private function download(string $splitId, string $from, string $path, array $form, float $timeout): string
    {
        $url = $this->baseUrl . $this->splits->at($splitId) . $from . self::query($form);
        (new Downloads($this->http))->files(dirname($path), [basename($path) => $url], $this->headers(), $timeout);
        return $path;
    }
}
