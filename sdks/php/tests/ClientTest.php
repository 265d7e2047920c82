<?php

declare(strict_types=1);

use PHPUnit\Framework\TestCase;
use StemSplitter\Client;
use StemSplitter\Exception\ConfigError;
use StemSplitter\Exception\ConnectionFailed;
use StemSplitter\Exception\InvalidSignature;
use StemSplitter\Exception\NotFound;
use StemSplitter\Exception\StemSplitterException;
use StemSplitter\Response;
use StemSplitter\Webhook;

require_once __DIR__ . '/autoload.php';

/** Behavior that is particular to PHP; the conformance suite tests the rest. */
final class ClientTest extends TestCase
{
    public function testMissingKeyIsReported(): void
    {
        putenv('STEMSPLITTER_KEY');
        $this->expectException(ConfigError::class);
        new Client(baseUrl: 'http://x');
    }

    public function testEnvironmentConfigures(): void
    {
        putenv('STEMSPLITTER_KEY=k');
        putenv('STEMSPLITTER_URL=http://x/');
        $client = new Client();
        putenv('STEMSPLITTER_KEY');
        putenv('STEMSPLITTER_URL');
        $this->assertSame('http://x/v1', $client->baseUrl);
    }

    public function testRetriesAreLoggedWithoutTheKey(): void
    {
        $lines = $slept = [];
        $client = new Client('secret', 'http://127.0.0.1:1', sleep: function ($seconds) use (&$slept) {
            $slept[] = $seconds;
        }, log: function ($line) use (&$lines) {
            $lines[] = $line;
        });
        try {
            $client->getCredits();
            $this->fail();
        } catch (ConnectionFailed $error) {
            $this->assertSame([5, 'CONNECTION_ERROR'], [$error->attempts, $error->errorCode]);
        }
        $this->assertCount(4, $lines);
        $this->assertCount(4, $slept);
        $this->assertStringNotContainsString('secret', implode($lines));
    }

    public function testErrorsAreTyped(): void
    {
        $response = new Response();
        $response->readHeader("HTTP/1.1 404 Not Found\r\n");
        $response->body = '{"error": {"code": "NOT_FOUND", "message": "No.", "requestId": "req_1"}}';
        $error = $response->error();
        $this->assertInstanceOf(NotFound::class, $error);
        $this->assertInstanceOf(StemSplitterException::class, $error);
        $this->assertSame(['NOT_FOUND', 'req_1', 404], [$error->errorCode, $error->requestId, $error->getCode()]);
    }

    public function testPagesAreFetchedWhenTheyAreNeeded(): void
    {
        $pages = (new Client('k', 'http://127.0.0.1:1'))->splits->iterate();
        $this->assertInstanceOf(Generator::class, $pages); // nothing was requested
    }

    public function testWebhookHeadersOfPhpAreRead(): void
    {
        $this->expectException(InvalidSignature::class);
        $this->expectExceptionMessage('timestamp');
        Webhook::verify('{}', ['Webhook-Signature' => 'v1,x'], 'whsec_');
    }
}
