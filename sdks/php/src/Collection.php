<?php

declare(strict_types=1);

namespace StemSplitter;

/** Objects of one kind that are listed in pages. */
class Collection extends Objects
{
    /**
     * Return a page, newest first: `items` and `nextCursor`. A filter is `status`; of deliveries, `splitId` and
     * `endpointId` are too.
     */
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
}
