"""Splits that are inserted into the database, which is faster than to create them by requests."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from benchmarks.fleet.cluster import Fleet
from stemsplitter.clock import now
from stemsplitter.database import new_id
from stemsplitter.jobs.models import FREE, QUEUED
from stemsplitter.splits.models import Split, stems_folder
from tests.acceptance.tiny_model import STEMS, TINY_MODEL

SONG_S = 60
OLD_DAYS = 6  # maximum age of the old splits; splits are kept for seven days
_DAY_MS = 86_400_000


def queued_split(account_id: str) -> Split:
    """New queued split of a minute of audio, first in the queue."""
    at, split_id = now(), new_id("split")
    return Split(
        id=split_id,
        account_id=account_id,
        status=QUEUED,
        stem_model="6s",
        requested_stems=list(STEMS),
        output_format="mp3",
        filename="song.mp3",
        duration_seconds=SONG_S,
        credits_used=SONG_S,
        source_key=f"splits/{split_id}/source.mp3",
        source_bytes=1_000_000,
        model={"name": TINY_MODEL, "licence": "none"},
        user_metadata={},
        model_name=TINY_MODEL,
        priority=FREE,
        turn=0,
        created_at=at,
        updated_at=at,
        expires_at=at + timedelta(days=7),
    )


def fill(made: Fleet, account_ids: Sequence[str], old: int, queued: int, queued_accounts: int) -> None:
    """Insert splits with their ledger entries, distributed evenly over accounts.

    ``old`` splits have succeeded and belong to all accounts; ``queued`` splits are queued and belong to the first
    ``queued_accounts`` of them.
    """
    with made.services.database.write() as session:
        template = queued_split(account_ids[0])
        template.stems = {
            name: {
                "key": f"{stems_folder(template.id)}/{name}.mp3",
                "size": 2_400_000,
                "mime": "audio/mpeg",
            }
            for name in STEMS
        }
        session.add(template)
        template_id = template.id
    accounts = ", ".join(f"'{each}'" for each in account_ids)

    def account(of: int) -> str:
        return f"(ARRAY[{accounts}])[1 + number % {of}]"

    ended = f"created_at - {OLD_DAYS * _DAY_MS} + number * {OLD_DAYS * _DAY_MS / max(old, 1):.3f}::bigint"
    # ids increase with time, as those of the application do
    _copy(
        made,
        template_id,
        old,
        {
            "id": "'split_0old' || lpad(number::text, 18, '0')",
            "account_id": account(len(account_ids)),
            "status": "'succeeded'",
            "progress": "100",
            "attempts": "1",
            "processing": """'{"device": "cpu", "seconds": 9.1, "realtimeFactor": 0.15}'::json""",
            **dict.fromkeys(("created_at", "updated_at", "started_at", "finished_at"), ended),
        },
    )
    _copy(
        made,
        template_id,
        queued,
        {
            "id": "'split_0queued' || lpad(number::text, 15, '0')",
            "account_id": account(queued_accounts),
            "stems": "NULL",
            "turn": f"{SONG_S * 1000} * (1 + number / {queued_accounts})",
        },
    )
    made.execute(f"DELETE FROM jobs WHERE id = '{template_id}'")
    for kind, amount in (("hold", "-credits_used"), ("settle", "0")):
        made.execute(
            "INSERT INTO ledger_entries (id, account_id, kind, amount, split_id, note, created_at) "
            f"SELECT 'led_' || substr(id, 7, 15) || '{kind}' || right(id, 8), account_id, '{kind}', {amount}, id, '', "
            f"created_at FROM jobs WHERE status = 'succeeded' OR '{kind}' = 'hold'"
        )
    made.execute("VACUUM ANALYZE")


def _copy(made: Fleet, template_id: str, number: int, values: Mapping[str, str]) -> None:
    columns = [column.name for column in Split.__table__.columns]
    names = ", ".join(f'"{name}"' for name in columns)
    given = ", ".join(values.get(name, f'"{name}"') for name in columns)
    made.execute(
        f"INSERT INTO jobs ({names}) SELECT {given} FROM jobs, generate_series(1, {number}) AS number "
        f"WHERE jobs.id = '{template_id}'"
    )
