<?php

// Driver of the conformance suite: see sdks/conformance/PROTOCOL.md.

declare(strict_types=1);

use StemSplitter\Client;
use StemSplitter\Exception\StemSplitterException;
use StemSplitter\Webhook;

require __DIR__ . '/tests/autoload.php';

$client = null;
$slept = [];

$run = function (array $c) use (&$client, &$slept): mixed {
    if ($c['op'] === 'new') {
        $sleep = function (float $seconds) use (&$slept, $c): void {
            $slept[] = $seconds;
            if (!($c['isFast'] ?? false)) {
                usleep((int) ($seconds * 1e6));
            }
        };
        $client = new Client($c['apiKey'], $c['baseUrl'], chunkBytes: $c['chunkBytes'] ?? 8 << 20, sleep: $sleep);
        return null;
    }
    if ($c['op'] === 'verify') {
        return Webhook::verify($c['body'], $c['headers'], $c['secret'], $c['tolerance'] ?? 300, $c['now'] ?? null);
    }
    $kind = $c['kind'] ?? 'splits';
    $jobs = $kind === 'mixes' ? $client->mixes($c['split']) : $client->$kind;
    $form = ['timeout' => $c['timeout'] ?? 300] + array_intersect_key($c, ['format' => 1, 'bitDepth' => 1]);
    $form += isset($c['bitrate']) ? ['bitrate' => (int) $c['bitrate']] : [];
    $filters = array_intersect_key($c, ['status' => 1, 'splitId' => 1, 'endpointId' => 1]);
    $endpoints = $client->webhookEndpoints;
    $updates = [];
    return match ($c['op']) {
        'credits' => $client->getCredits(),
        'models' => $client->listModels(),
        'voices' => $client->listVoices(),
        'upload' => [
            'upload' => $client->uploadFile($c['path'], $c['filename'] ?? '', onProgress: function ($sent) use (&$updates) {
                $updates[] = $sent;
            }),
            'progress' => $updates,
        ],
        'create' => $jobs->create($c['request'], $c['idempotencyKey'] ?? null),
        'get' => $jobs->get($c['id']),
        'chords' => ($kind === 'analyses' ? $jobs->get($c['id']) : $jobs->get($c['id'])['analysis'])['chords'],
        'wait' => [
            'job' => $jobs->wait($c['id'], $c['timeout'], onUpdate: function ($job) use (&$updates) {
                $updates[] = $job['progress'] ?? null;
            }),
            'updates' => $updates,
        ],
        'list' => array_column(iterator_to_array($jobs->iterate(...$filters), false), 'id'),
        'cancel' => $jobs->cancel($c['id']),
        'delete' => $jobs->delete($c['id']),
        'download' => $jobs->download($c['id'], $c['folder']),
        'stem' => $client->downloadStem($c['id'], $c['name'], $c['path'], ...$form),
        'archive' => $client->downloadArchive($c['id'], $c['path'], ...$form),
        'cover' => $client->downloadCover($c['id'], $c['path']),
        'peaks' => $client->getPeaks($c['id'], $c['resolution'] ?? null),
        'previews' => $client->getPreviews($c['id'], $c['codec'] ?? null),
        'rotate' => $client->rotateWebhookSecret(),
        'test_webhook' => $client->sendTestWebhook($c['url']),
        'secrets' => $client->listWebhookSecrets(),
        'replay' => $client->replayDelivery($c['id']),
        'create_endpoint' => $endpoints->create($c['request']),
        'get_endpoint' => $endpoints->get($c['id']),
        'list_endpoints' => $endpoints->list(),
        'update_endpoint' => $endpoints->update($c['id'], $c['request']),
        'delete_endpoint' => $endpoints->delete($c['id']),
        'rotate_endpoint' => $endpoints->rotateSecret($c['id']),
        'test_endpoint' => $endpoints->sendTest($c['id']),
    };
};

while (($line = fgets(STDIN)) !== false) {
    $slept = [];
    try {
        $result = ['ok' => $run(json_decode($line, true))];
    } catch (StemSplitterException $error) {
        $found = ['code' => $error->errorCode, 'message' => $error->getMessage()];
        foreach (['status', 'requestId', 'docUrl', 'param', 'retryAfter', 'requiredSeconds', 'balance'] as $name) {
            $found[$name] = $error->$name;
        }
        $result = ['error' => $found];
    }
    echo json_encode([...$result, 'slept' => $slept], JSON_THROW_ON_ERROR), "\n";
}
