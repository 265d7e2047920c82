<?php

declare(strict_types=1);

namespace StemSplitter;

use StemSplitter\Exception\NotFound;

/** Objects of one kind. */
abstract class Objects
{
    public function __construct(protected readonly Client $client, protected readonly string $path)
    {
    }

    /** Return an object. */
    public function get(string $id): array
    {
        return $this->client->request('GET', $this->at($id));
    }

    /** The path of an object. */
    public function at(string $id): string
    {
        return "$this->path/" . rawurlencode($id);
    }

    protected function remove(string $id): array
    {
        try {
            return $this->client->request('DELETE', $this->at($id));
        } catch (NotFound $error) { // after a repetition, the first response was lost
            return $error->attempts > 1 ? ['id' => $id, 'deleted' => true] : throw $error;
        }
    }
}
