<?php

declare(strict_types=1);

namespace StemSplitter\Exception;

/** Base of all exceptions of the client. */
class StemSplitterException extends \RuntimeException
{
    protected const CODE = 'API_ERROR';
    private const KINDS = [
        400 => ValidationError::class,
        401 => AuthenticationError::class,
        402 => InsufficientCredits::class,
        404 => NotFound::class,
        409 => Conflict::class,
        410 => ValidationError::class,
        413 => ValidationError::class,
        415 => ValidationError::class,
        422 => ValidationError::class,
        429 => RateLimited::class,
    ];

    /** How often the request was sent. */
    public int $attempts = 1;
    /**
     * Code of the API, such as `NOT_FOUND`; of the client, `CONFIG_ERROR`, `CONNECTION_ERROR`, `TIMEOUT`,
     * `DOWNLOAD_ERROR` or `INVALID_SIGNATURE`; `HTTP_ERROR` for a response that is not of the API.
     */
    public readonly string $errorCode;
    /** Id of the request in the server's log. */
    public readonly ?string $requestId;
    /** Address of the documentation of the code. */
    public readonly ?string $docUrl;
    /** The part of the request that is wrong, such as `input.url`. */
    public readonly ?string $param;
    /** Credits that the song needs. */
    public readonly ?int $requiredSeconds;
    /** Credits of the account. */
    public readonly ?int $balance;

    /**
     * @param int $status of HTTP; 0 if there was no response
     * @param array $details the parsed response
     * @param ?float $retryAfter seconds that the server asks to wait
     */
    final public function __construct(
        string $message,
        public readonly int $status = 0,
        string $errorCode = '',
        public readonly array $details = [],
        public readonly ?float $retryAfter = null,
        ?\Throwable $previous = null,
    ) {
        parent::__construct($message, $status, $previous);
        $error = is_array($details['error'] ?? null) ? $details['error'] : [];
        $this->errorCode = $errorCode ?: static::CODE;
        $this->requestId = $error['requestId'] ?? null;
        $this->docUrl = $error['docUrl'] ?? null;
        $this->param = $error['param'] ?? null;
        $this->requiredSeconds = $error['requiredSeconds'] ?? null;
        $this->balance = $error['balance'] ?? null;
    }

    /** @return class-string<self> */
    public static function kindOf(int $status): string
    {
        return self::KINDS[$status] ?? ($status >= 500 ? ServerError::class : self::class);
    }
}
