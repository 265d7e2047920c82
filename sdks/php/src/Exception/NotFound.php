<?php

declare(strict_types=1);

namespace StemSplitter\Exception;

/** The resource does not exist (404). */
final class NotFound extends StemSplitterException
{
}
