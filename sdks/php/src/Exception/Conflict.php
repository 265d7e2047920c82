<?php

declare(strict_types=1);

namespace StemSplitter\Exception;

/** The state does not allow the request (409). */
final class Conflict extends StemSplitterException
{
}
