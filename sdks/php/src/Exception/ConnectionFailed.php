<?php

declare(strict_types=1);

namespace StemSplitter\Exception;

/** The server could not be reached, or the connection ended early, in all attempts. */
final class ConnectionFailed extends StemSplitterException
{
    protected const CODE = 'CONNECTION_ERROR';
}
