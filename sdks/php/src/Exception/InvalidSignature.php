<?php

declare(strict_types=1);

namespace StemSplitter\Exception;

/** A webhook is not genuine, or is too old. */
final class InvalidSignature extends StemSplitterException
{
    protected const CODE = 'INVALID_SIGNATURE';
}
