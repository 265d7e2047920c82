<?php

declare(strict_types=1);

namespace StemSplitter\Exception;

/** The server failed (5xx), also after the retries. */
final class ServerError extends StemSplitterException
{
}
