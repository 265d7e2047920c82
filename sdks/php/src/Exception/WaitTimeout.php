<?php

declare(strict_types=1);

namespace StemSplitter\Exception;

/** The job did not end in time. It goes on: wait again, or cancel it. */
final class WaitTimeout extends StemSplitterException
{
    protected const CODE = 'TIMEOUT';
}
