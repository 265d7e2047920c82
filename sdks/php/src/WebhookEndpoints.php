<?php

declare(strict_types=1);

namespace StemSplitter;

/** Saved URLs, which get the webhooks of all jobs. The server disables those that fail for days. */
final class WebhookEndpoints extends Objects
{
    /**
     * Save an endpoint. Its signing secret, `secret`, is in this response only.
     *
     * @param array $request such as `['url' => 'https://example.com/hook', 'events' => ['audio.split.completed']]`; the
     *     event `*` means all
     */
    public function create(array $request): array
    {
        return $this->client->request('POST', $this->path, $request, isRepeatable: false);
    }

    /** Return all endpoints, newest first. */
    public function list(): array
    {
        return $this->client->request('GET', $this->path)['items'];
    }

    /** Change an endpoint: `url`, `events`, `description`, or `status`, which is `enabled` or `disabled`. */
    public function update(string $id, array $changes): array
    {
        return $this->client->request('POST', $this->at($id), $changes);
    }

    /** Delete an endpoint. Its pending deliveries end as failed. */
    public function delete(string $id): array
    {
        return $this->remove($id);
    }

    /** Create a signing secret of the endpoint. The previous one stays active for 24 hours. */
    public function rotateSecret(string $id): string
    {
        return $this->client->request('POST', $this->at($id) . '/rotate', isRepeatable: false)['secret'];
    }

    /** Send a test event to the endpoint. Returns its delivery. */
    public function sendTest(string $id): array
    {
        return $this->client->request('POST', $this->at($id) . '/test', isRepeatable: false);
    }
}
