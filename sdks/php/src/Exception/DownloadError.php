<?php

declare(strict_types=1);

namespace StemSplitter\Exception;

/** A file could not be downloaded completely. No file was written. */
final class DownloadError extends StemSplitterException
{
    protected const CODE = 'DOWNLOAD_ERROR';
}
