"""Records of what was measured with a model on this machine, beside its weights: a JSON object in a file."""

import json
from typing import Any

from stemsplitter.catalogue.entries import ModelEntry
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.files.atomic import AtomicFile
from stemsplitter.files.verified import disk_errors


def read_records(entry: ModelEntry, store: ModelStore, name: str) -> dict[str, Any]:
    """Return the records in the file ``name``; none if it does not exist or is damaged."""
    try:
        records = json.loads((store.root / entry.name / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return records if isinstance(records, dict) else {}


def add_record(entry: ModelEntry, store: ModelStore, name: str, key: str, record: dict[str, Any]) -> None:
    """Add a record to those in the file ``name``, or replace it. Raises ModelError if it cannot be written."""
    records = read_records(entry, store, name) | {key: record}
    folder = store.cache_dir(entry.name).parent
    with disk_errors(folder), AtomicFile(folder / name) as file:
        file.file.write(json.dumps(records, indent=2).encode())
        file.commit()
