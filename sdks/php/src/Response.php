<?php

declare(strict_types=1);

namespace StemSplitter;

use StemSplitter\Exception\StemSplitterException;

/** A response of HTTP. */
final class Response
{
    public int $status = 0;
    /** @var array<string, string> */
    public array $headers = [];
    public string $body = '';

    /** Read a line of the header. */
    public function readHeader(string $line): int
    {
        if (preg_match('#^HTTP/\S+ (\d+)#', $line, $found)) {
            [$this->status, $this->headers] = [(int) $found[1], []];
        } elseif (str_contains($line, ':')) {
            [$name, $value] = explode(':', $line, 2);
            $this->headers[strtolower($name)] = trim($value);
        }
        return strlen($line);
    }

    /** The parsed body; empty if it is not JSON, as of a proxy. */
    public function json(): array
    {
        $parsed = json_decode($this->body, true);
        return is_array($parsed) ? $parsed : [];
    }

    public function isEvents(): bool
    {
        return str_starts_with($this->headers['content-type'] ?? '', 'text/event-stream');
    }

    /** The seconds of the header Retry-After. */
    public function retryAfter(): ?float
    {
        $value = $this->headers['retry-after'] ?? '';
        return ctype_digit($value) ? (float) $value : null;
    }

    /** The error that the response is: in the envelope, flat as of upload URLs, or of a proxy. */
    public function error(): StemSplitterException
    {
        $body = $this->json();
        $error = $body['error'] ?? [];
        if (is_string($error)) {
            $error = ['code' => $error, 'message' => $body['message'] ?? $error];
        }
        $message = $error['message'] ?? "The request failed with status $this->status.";
        $kind = StemSplitterException::kindOf($this->status);
        return new $kind($message, $this->status, $error['code'] ?? 'HTTP_ERROR', $body, $this->retryAfter());
    }
}
