<?php

declare(strict_types=1);

namespace StemSplitter;

use StemSplitter\Exception\ConnectionFailed;
use StemSplitter\Exception\StemSplitterException;

/** An upload in chunks, which continues after a lost connection. */
final class Upload
{
    private const MAX_FAILURES = 10; // without progress: the server needs up to a minute to detect a lost connection
    private const TEMPORARY = ['UPLOAD_INCOMPLETE', 'UPLOAD_IN_PROGRESS', 'UPLOAD_OFFSET_MISMATCH'];
    private const TYPES = [
        'flac' => 'audio/flac',
        'm4a' => 'audio/mp4',
        'mp3' => 'audio/mpeg',
        'mp4' => 'video/mp4',
        'ogg' => 'audio/ogg',
        'wav' => 'audio/wav',
    ];

    private readonly string $url;
    /** @var array<string, string> */
    private readonly array $token;

    /** @param resource $stream */
    public function __construct(
        private readonly Http $http,
        array $reservation,
        private $stream,
        private readonly int $size,
        private readonly int $chunkBytes,
    ) {
        $this->url = $reservation['uploadUrl'];
        $this->token = ['X-Upload-Token' => $reservation['uploadHeaders']['X-Upload-Token']];
    }

    public static function contentTypeOf(string $name): string
    {
        return self::TYPES[strtolower(pathinfo($name, PATHINFO_EXTENSION))] ?? 'application/octet-stream';
    }

    /**
     * Send the file. Returns `url` and `key`.
     *
     * @param callable(int, int): void $onProgress
     */
    public function send(callable $onProgress): array
    {
        for ($offset = $failures = 0;;) {
            $end = min($offset + $this->chunkBytes, $this->size);
            try {
                $response = $this->sendChunk($offset, $end);
                $failures = 0;
                $onProgress($end, $this->size);
                if ($end === $this->size) {
                    return $response->json()['data'];
                }
                $offset = $end;
            } catch (StemSplitterException $error) {
                $isTemporary = $error instanceof ConnectionFailed || in_array($error->status, Http::RETRIED, true);
                $isTemporary = $isTemporary || in_array($error->errorCode, self::TEMPORARY, true);
                if (!$isTemporary || ++$failures > self::MAX_FAILURES) {
                    throw $error;
                }
                if ($error->errorCode !== 'UPLOAD_OFFSET_MISMATCH') {
                    $this->http->pause($failures, $error);
                }
                $found = $this->http->request('HEAD', $this->url, fn () => $this->token);
                $stored = (int) $found->headers['upload-offset'];
                $failures = $stored > $offset ? 0 : $failures;
                $offset = $stored;
            }
        }
    }

    private function sendChunk(int $offset, int $end): Response
    {
        fseek($this->stream, $offset);
        $headers = $this->token + [
            'Content-Type' => 'application/partial-upload',
            'Upload-Offset' => (string) $offset,
            'Upload-Complete' => $end === $this->size ? '?1' : '?0',
        ];
        $response = $this->http->send('PATCH', $this->url, $headers, [$this->stream, $end - $offset]);
        return $response->status < 300 ? $response : throw $response->error();
    }
}
