"""Downloads of models that a start can do without: one try a day."""

import time
from pathlib import Path
from typing import Final

from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError
from stemsplitter.files.verified import Progress, disk_errors

RETRY_S: Final = 24 * 3600


def is_due(name: str, store: ModelStore) -> bool:
    """Return True if the model is not installed, may be downloaded, and no try failed within a day."""
    if store.offline or store.is_ready(name):
        return False
    try:
        age = time.time() - _stamp(name, store).stat().st_mtime
    except OSError:
        return True
    return not 0 <= age < RETRY_S


def try_pull(name: str, store: ModelStore, progress: Progress | None = None) -> None:
    """Pull a model with one try, and keep the time of a failure.

    Raises:
        ModelError: it cannot be downloaded.
    """
    stamp = _stamp(name, store)
    try:
        store.pull(name, progress, once=True)
    except ModelError:
        with disk_errors(store.root):
            store.root.mkdir(parents=True, exist_ok=True)
            stamp.touch()
        raise
    stamp.unlink(missing_ok=True)


def _stamp(name: str, store: ModelStore) -> Path:
    return store.root / f".{store.entry(name).name}.failed"
