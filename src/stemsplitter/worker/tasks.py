"""What features and the worker loop agree on."""

from collections.abc import Callable
from dataclasses import dataclass


class HandedBack(Exception):
    """A job gave up its work because the worker ends; another worker will begin it anew."""


@dataclass(frozen=True)
class Chore:
    """Something that one of the workers does every so many seconds. Doing it twice at once must do no harm."""

    name: str
    seconds: float
    run: Callable[[], object]
