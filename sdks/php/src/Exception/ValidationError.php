<?php

declare(strict_types=1);

namespace StemSplitter\Exception;

/** The request or the song is invalid (400, 410, 413, 415, 422). */
final class ValidationError extends StemSplitterException
{
}
