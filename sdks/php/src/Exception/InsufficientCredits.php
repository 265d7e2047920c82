<?php

declare(strict_types=1);

namespace StemSplitter\Exception;

/** The balance does not cover the song (402). */
final class InsufficientCredits extends StemSplitterException
{
}
