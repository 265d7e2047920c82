"""Files that only their owner may read."""

import contextlib
import os
from pathlib import Path

_OTHERS = 0o077


def create_private() -> None:
    """Give files and folders that this process creates the modes 0600 and 0700."""
    os.umask(_OTHERS)


def make_private(*paths: Path) -> None:
    """Remove the access of group and others from files and folders that exist and belong to this user."""
    for path in paths:
        with contextlib.suppress(OSError):
            mode = path.stat().st_mode & 0o777
            if mode & _OTHERS:
                path.chmod(mode & ~_OTHERS)
