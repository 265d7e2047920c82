<?php

declare(strict_types=1);

namespace StemSplitter;

/** Objects of one kind. */
class Collection
{
    public function __construct(protected readonly Client $client, protected readonly string $path)
    {
    }

    /** Return an object. */
    public function get(string $id): array
    {
        return $this->client->request('GET', $this->at($id));
    }

    /** Return a page, newest first: `items` and `nextCursor`. A filter is `status`. */
    public function list(int $limit = 20, ?string $cursor = null, ?string ...$filters): array
    {
        $query = Client::query(['limit' => $limit, 'cursor' => $cursor, ...$filters]);
        return $this->client->request('GET', $this->path . $query);
    }

    /**
     * Yield all objects, newest first.
     *
     * @return \Generator<int, array>
     */
    public function iterate(?string ...$filters): \Generator
    {
        $cursor = null;
        do {
            $page = $this->list(100, $cursor, ...$filters);
            foreach ($page['items'] as $item) {
                yield $item;
            }
            $cursor = $page['nextCursor'] ?? null;
        } while ($cursor);
    }

    /** The path of an object. */
    public function at(string $id): string
    {
        return "$this->path/" . rawurlencode($id);
    }
}
