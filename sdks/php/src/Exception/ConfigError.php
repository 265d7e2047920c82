<?php

declare(strict_types=1);

namespace StemSplitter\Exception;

/** An option of the client is missing. */
final class ConfigError extends StemSplitterException
{
    protected const CODE = 'CONFIG_ERROR';
}
