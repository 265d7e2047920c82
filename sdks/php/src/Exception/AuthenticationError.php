<?php

declare(strict_types=1);

namespace StemSplitter\Exception;

/** The API key is missing or invalid (401). */
final class AuthenticationError extends StemSplitterException
{
}
