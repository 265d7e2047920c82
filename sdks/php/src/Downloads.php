<?php

declare(strict_types=1);

namespace StemSplitter;

use StemSplitter\Exception\ConnectionFailed;
use StemSplitter\Exception\DownloadError;
use StemSplitter\Exception\WaitTimeout;

/** Downloads of files: complete or not at all. */
final class Downloads
{
    private const MAX_HOPS = 5;

    public function __construct(private readonly Http $http)
    {
    }

    /**
     * Download files into a folder, where they appear together when all are complete.
     *
     * @param array<string, string> $files the link of each file
     */
    public function files(string $folder, array $files, array $headers = [], float $timeout = 0): void
    {
        $hidden = "$folder/.stems-" . Client::newKey();
        if (!@mkdir($hidden, 0777, true)) {
            throw new \RuntimeException("$folder cannot be written.");
        }
        try {
            foreach ($files as $file => $url) {
                $this->file("$hidden/$file", $url, $headers, $timeout);
            }
            foreach (array_keys($files) as $file) {
                rename("$hidden/$file", "$folder/$file");
            }
        } finally {
            array_map('unlink', glob("$hidden/*") ?: []);
            rmdir($hidden);
        }
    }

    /** Download a file; continue after a lost connection, wait until the server has it, follow without the key. */
    private function file(string $path, string $url, array $headers, float $timeout): void
    {
        $left = Jobs::timer($timeout);
        $file = @fopen($path, 'wb') ?: throw new \RuntimeException("$path cannot be written.");
        $etag = '';
        $response = null;
        $ranged = static function () use (&$headers, &$etag, &$response, $file): array {
            $response = null;
            $offset = ftell($file);
            return $headers + ($etag && $offset ? ['Range' => "bytes=$offset-", 'If-Range' => $etag] : []);
        };
        $read = static function (Response $found, string $part) use (&$etag, &$response, $file): bool {
            if ($response !== $found && $found->status === 200) { // the first part
                ftruncate($file, 0);
                rewind($file);
            }
            $response = $found;
            $etag = str_starts_with($found->headers['etag'] ?? '', '"') ? $found->headers['etag'] : '';
            if (!in_array($found->status, [200, 206], true)) {
                return true;
            }
            return fwrite($file, $part) === strlen($part) ?: throw new \RuntimeException('The disk is full.');
        };
        try {
            for ($hops = 0;;) {
                $found = $this->http->request('GET', $url, $ranged, read: $read);
                $location = $found->headers['location'] ?? '';
                if ($found->status === 200 || $found->status === 206) {
                    return;
                }
                if ($location && $hops++ < self::MAX_HOPS) {
                    [$url, $headers] = [$location, []];
                } elseif ($found->status !== 202) {
                    throw new DownloadError(basename($path) . " was not received: status $found->status.");
                } elseif ($left() <= 0) {
                    throw new WaitTimeout('Timed out waiting for ' . basename($path) . '.');
                } else {
                    $this->http->sleep($found->retryAfter() ?? 1);
                }
            }
        } catch (ConnectionFailed $error) {
            throw new DownloadError(basename($path) . " was not received completely: {$error->getMessage()}", 0, '', [], null, $error);
        } finally {
            fclose($file);
        }
    }
}
