"""Splits that are put into the database's table, where making them by requests would take days."""

from datetime import timedelta

from stemsplitter.database import new_id, now
from stemsplitter.splits.models import QUEUED, Split
from tests.acceptance.server import MODEL


def waiting_split(account_id: str) -> Split:
    """A split of a minute of audio as a request leaves it."""
    at, split_id = now(), new_id("split")
    return Split(
        id=split_id,
        account_id=account_id,
        status=QUEUED,
        stem_model="6s",
        requested_stems=["vocals", "drums", "bass", "guitar", "piano", "other"],
        output_format="mp3",
        filename="song.mp3",
        duration_seconds=60,
        credits_used=60,
        source_key=f"splits/{split_id}/source.mp3",
        source_bytes=1_000_000,
        model={"name": MODEL, "licence": "none"},
        user_metadata={},
        created_at=at,
        updated_at=at,
        expires_at=at + timedelta(days=7),
    )
