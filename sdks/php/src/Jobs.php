<?php

declare(strict_types=1);

namespace StemSplitter;

use StemSplitter\Exception\Conflict;
use StemSplitter\Exception\ConnectionFailed;
use StemSplitter\Exception\DownloadError;
use StemSplitter\Exception\RateLimited;
use StemSplitter\Exception\ServerError;
use StemSplitter\Exception\WaitTimeout;

/** Jobs of one kind. All kinds have the same life: queued, processing, then succeeded or failed. */
final class Jobs extends Collection
{
    private const SILENCE_S = 40.0; // the server sends a comment every 15 seconds

    public function __construct(Client $client, string $path, private readonly bool $hasEvents = true)
    {
        parent::__construct($client, $path);
    }

    /**
     * Create a job, once even if the request is repeated.
     *
     * @param array $request such as `['input' => $upload['input'], 'stemModel' => '4s']`
     * @param ?string $idempotencyKey random by default
     */
    public function create(array $request, ?string $idempotencyKey = null): array
    {
        return $this->client->request('POST', $this->path, $request, $idempotencyKey ?? Client::newKey());
    }

    /** Cancel a job. It fails with the code `CANCELED`, and its credits are refunded. */
    public function cancel(string $id): array
    {
        try {
            return $this->client->request('POST', $this->at($id) . '/cancel');
        } catch (Conflict $error) {
            $job = $error->attempts > 1 ? $this->get($id) : []; // the first response was lost
            return ($job['error']['code'] ?? '') === 'CANCELED' ? $job : throw $error;
        }
    }

    /** Delete an ended job with its files. */
    public function delete(string $id): array
    {
        return $this->remove($id);
    }

    /**
     * Download all files of a succeeded job into a folder. They appear together, when all are complete.
     *
     * @param array|string $job the job, or its id
     * @return array<string, string> the path of each file by its name, such as `folder/vocals.mp3`
     * @throws DownloadError the job has no files, or one could not be downloaded completely
     */
    public function download(array|string $job, string $folder): array
    {
        $job = is_string($job) ? $this->get($job) : $job;
        $links = $job['stems'] ?? $job['outputs'] ?? (isset($job['url']) ? ['mix' => $job['url']] : []);
        if ($job['status'] !== 'succeeded' || !$links) {
            $reason = $job['error']['message'] ?? "its status is {$job['status']}";
            throw new DownloadError("{$job['id']} has no files: $reason");
        }
        $files = $paths = [];
        foreach ($links as $name => $url) {
            if (!preg_match('/^[A-Za-z0-9][A-Za-z0-9_-]*$/D', $name)) {
                throw new DownloadError("$name is not a file name.");
            }
            $file = $name . '.' . (preg_match('/\.([a-z0-9]{2,5})(\?.*)?$/D', $url, $found) ? $found[1] : 'audio');
            $files[$file] = $url;
            $paths[$name] = "$folder/$file";
        }
        (new Downloads($this->client->http))->files($folder, $files);
        return $paths;
    }

    /**
     * Return the job when it has succeeded or failed. Uses events, and polls where they are not available. Lost
     * connections and a restart of the server do not end the wait.
     *
     * @param float $timeout seconds
     * @param float $interval seconds between polls
     * @param ?callable(array): void $onUpdate receives the job at first and when its status or progress changes; an
     *     exception in it ends the wait
     * @throws WaitTimeout it has not ended in time
     */
    public function wait(string $id, float $timeout = 300, float $interval = 2, ?callable $onUpdate = null): array
    {
        $left = self::timer($timeout);
        $last = $ended = null;
        $update = function (array $job) use (&$last, &$ended, $onUpdate): void {
            $state = [$job['status'], $job['progress'] ?? null];
            if ($state !== $last && $onUpdate) {
                $onUpdate($job);
            }
            $last = $state;
            $ended = in_array($job['status'], ['succeeded', 'failed'], true) ? $job : null;
        };
        $hasEvents = $this->hasEvents;
        while (true) {
            $hasEvents = $hasEvents && ($left() <= 0 || $this->follow($id, $left(), $update, $ended));
            if ($ended) {
                return $ended;
            }
            try {
                $update($this->get($id));
            } catch (ConnectionFailed | ServerError | RateLimited) {
                // while the server restarts; the next poll finds it
            }
            if ($ended) {
                return $ended;
            }
            if ($left() <= 0) {
                throw new WaitTimeout("Timed out waiting for $id.");
            }
            $this->client->http->sleep(min($interval, $left()));
        }
    }

    /** Read events until the job has ended, the stream ends, or the time is over. False if the server has no events. */
    private function follow(string $id, float $seconds, callable $update, ?array &$ended): bool
    {
        $text = '';
        $read = function (Response $response, string $part) use (&$text, &$ended, $update): bool {
            $blocks = explode("\n\n", str_replace("\r", '', $text . $part));
            $text = array_pop($blocks);
            foreach ($response->isEvents() ? $blocks : [] as $block) {
                preg_match_all('/^data:(.*)$/m', $block, $lines);
                $job = json_decode(implode('', $lines[1]), true);
                if (is_array($job) && !$ended) {
                    $update($job);
                }
            }
            return !$ended;
        };
        $url = $this->client->baseUrl . $this->at($id) . '/events';
        $headers = $this->client->headers('text/event-stream');
        try {
            $response = $this->client->http->send('GET', $url, $headers, null, $read, self::SILENCE_S, $seconds);
        } catch (ConnectionFailed) {
            return true;
        }
        return $response->isEvents() || $response->status >= 500 || in_array($response->status, [401, 429], true);
    }

    /** @return callable(): float the seconds that are left */
    public static function timer(float $seconds): callable
    {
        $deadline = hrtime(true) + $seconds * 1e9;
        return static fn (): float => ($deadline - hrtime(true)) / 1e9;
    }
}
