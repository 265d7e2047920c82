"""Rows of splits without a song."""

from datetime import timedelta
from typing import Any

from stemsplitter.clock import now
from stemsplitter.database import new_id
from stemsplitter.splits.models import Split

MODEL = "tiny_6s"


def new_split(account_id: str, **values: Any) -> Split:
    """Return a queued split of one second with ``values``."""
    at = now()
    fields: dict[str, Any] = {
        "id": new_id("split"), "account_id": account_id, "status": "queued", "stem_model": "6s",
        "requested_stems": ["vocals"], "output_format": "mp3", "filename": "a.mp3", "duration_seconds": 1,
        "credits_used": 0, "progress": 0, "source_key": "splits/a", "source_bytes": 1, "attempts": 0,
        "model": {"name": MODEL, "licence": "MIT"}, "user_metadata": {}, "created_at": at, "updated_at": at,
        "expires_at": at + timedelta(days=7), "model_name": MODEL, "priority": 1, "turn": 0,
    }  # fmt: skip
    return Split(**fields | values)
