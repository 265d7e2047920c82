<?php

declare(strict_types=1);

namespace StemSplitter\Exception;

/** Too many requests (429), also after the retries. */
final class RateLimited extends StemSplitterException
{
}
