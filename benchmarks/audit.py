"""Consistency checks of splits, credits, stems and webhooks after a run, through the API and the database."""

import io
import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import soundfile

from stemsplitter.jobs.processing import MAX_ATTEMPTS

Problems = list[str]
EMAIL, RATE = "someone@example.com", 44_100  # email of the account and sample rate of its songs
ENDINGS = {"succeeded": "settle", "failed": "release"}
EVENTS = {"succeeded": "audio.split.completed", "failed": "audio.split.failed"}


@dataclass(frozen=True)
class Evidence:
    """Sources to audit an account: the database, the API and the received webhooks.

    Attributes:
        query: queries the database directly.
        data: calls the API with the account's key.
        received: webhook id → bodies received with it.
        ids: ids of the splits that the client created; the n-th song has ``lengths[n % len(lengths)]`` samples.
        granted: initial credits of the account.
    """

    query: Callable[[str], list[tuple[Any, ...]]]
    data: Callable[..., Any]
    received: Mapping[str, Sequence[bytes]]
    ids: Sequence[str]
    lengths: Sequence[int]
    granted: int
    email: str = EMAIL

    @property
    def account(self) -> str:
        """SQL condition that selects rows of the account."""
        return f"account_id = (SELECT id FROM accounts WHERE email = '{self.email}')"

    def splits(self) -> dict[str, tuple[str, int]]:
        """Id → status and attempts."""
        rows = self.query(f"SELECT id, status, attempts FROM jobs WHERE {self.account}")
        return {split_id: (status, attempts) for split_id, status, attempts in rows}

    def wait(self, deadline: float) -> None:
        """Wait until all splits have ended and all webhooks are delivered, or until ``deadline`` (monotonic clock)."""
        unfinished = f"SELECT id FROM jobs WHERE status NOT IN ('succeeded', 'failed') AND {self.account}"
        undelivered = f"SELECT id FROM webhook_deliveries WHERE status = 'pending' AND {self.account}"
        while time.monotonic() < deadline:
            if not self.query(f"{unfinished} UNION ALL {undelivered}"):
                return
            time.sleep(0.5)


def has_running_split(database: Path) -> bool:
    """Return True if a worker runs a split."""
    return bool(query_sqlite(database, "SELECT id FROM jobs WHERE status = 'processing' LIMIT 1"))


def check(evidence: Evidence) -> Problems:
    """Check an account. Returns one sentence for each problem."""
    splits = _listed(evidence)
    return [
        *_splits(evidence, splits),
        *_credits(evidence, splits),
        *_webhooks(evidence, splits),
        *_stems(evidence, splits),
    ]


def integrity(database: Path) -> Problems:
    """Run SQLite's integrity check. Returns its problems."""
    state = query_sqlite(database, "PRAGMA integrity_check")
    return [] if state == [("ok",)] else [f"the database is damaged: {state[0][0]}"]


def _listed(evidence: Evidence) -> dict[str, dict[str, Any]]:
    splits: dict[str, dict[str, Any]] = {}
    cursor: dict[str, str] = {}
    for _ in range(100):
        page = evidence.data("GET", "/audio/splits", params={"limit": "100", **cursor})
        splits |= {split["id"]: split for split in page["items"]}
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    return splits


def _splits(evidence: Evidence, splits: dict[str, dict[str, Any]]) -> Problems:
    problems = [
        f"{each} is {split['status']}" for each, split in splits.items() if split["status"] not in ENDINGS
    ]
    if len(set(evidence.ids)) != len(evidence.ids):
        problems.append("two requests created the same split")
    for source, ids in (("the API", set(splits)), ("the database", set(evidence.splits()))):
        if ids != set(evidence.ids):
            problems.append(f"{source} has {len(ids)} splits, not the {len(evidence.ids)} that were created")
    (done,) = evidence.query(
        "SELECT count(*), count(response_body) FROM idempotency_records "
        f"WHERE route = 'POST /v1/audio/splits' AND {evidence.account}"
    )
    if done != (len(evidence.ids), len(evidence.ids)):
        problems.append(f"of {done[0]} idempotency keys, {done[1]} have a response")
    problems += [
        f"{each} had {attempts} attempts"
        for each, (status, attempts) in evidence.splits().items()
        # a fourth claim only ends a split whose process was killed three times
        if attempts > MAX_ATTEMPTS + (status == "failed")
    ]
    return problems


def _credits(evidence: Evidence, splits: dict[str, dict[str, Any]]) -> Problems:
    problems, spent = [], 0
    entries: dict[str, dict[str, int]] = {each: {} for each in splits}
    for split_id, kind, amount in evidence.query(
        f"SELECT split_id, kind, amount FROM ledger_entries WHERE split_id IS NOT NULL AND {evidence.account}"
    ):
        if kind in entries.setdefault(split_id, {}):
            problems.append(f"{split_id} has two ledger entries of kind {kind}")
        entries[split_id][kind] = amount
    for number, split_id in enumerate(evidence.ids):
        split = splits.get(split_id, {"status": None, "creditsUsed": None})
        cost = -(-evidence.lengths[number % len(evidence.lengths)] // RATE)
        kept = split["status"] == "succeeded"
        spent += cost * kept
        wanted = {"hold": -cost, ENDINGS.get(split["status"], "end"): 0 if kept else cost}
        if entries.pop(split_id, None) != wanted or split["creditsUsed"] != cost:
            problems.append(
                f"{split_id}, {split['status']}, does not have exactly the ledger entries {wanted}"
            )
    problems += [f"{each} has ledger entries but was not created" for each in entries]
    balance = evidence.granted - spent
    (sums,) = evidence.query(
        "SELECT balance, (SELECT sum(amount) FROM ledger_entries WHERE account_id = accounts.id) FROM accounts "
        f"WHERE email = '{evidence.email}'"
    )
    if (*sums, evidence.data("GET", "/credits")["balance"]) != (balance,) * 3:
        problems.append(
            f"the balance and the sum of the ledger are {sums}, not {balance}, or the API differs"
        )
    return problems


def _webhooks(evidence: Evidence, splits: dict[str, dict[str, Any]]) -> Problems:
    problems = []
    events: dict[str, list[str]] = {each: [] for each in splits}
    for event_id, bodies in list(evidence.received.items()):
        if len(set(bodies)) != 1:
            problems.append(f"{event_id} has {len(set(bodies))} different bodies")
        body = json.loads(bodies[0])
        events.setdefault(body["data"]["id"], []).append(event_id)
        split = splits.get(body["data"]["id"])
        if split is None or (body["event"], body["data"]["status"]) != (
            EVENTS.get(split["status"]),
            split["status"],
        ):
            problems.append(f"{event_id} does not match the state of its split")
    problems += [f"{each} has {len(ids)} events, not 1" for each, ids in events.items() if len(ids) != 1]
    made = evidence.query(f"SELECT id, split_id FROM webhook_events WHERE {evidence.account}")
    if {(each, split_id) for split_id, ids in events.items() for each in ids} != set(made):
        problems.append(f"the {len(made)} events in the database differ from the received webhooks")
    left = evidence.query(
        f"SELECT id, status FROM webhook_deliveries WHERE status != 'delivered' AND {evidence.account}"
    )
    return problems + [f"delivery {each} is {status}" for each, status in left]


def _stems(evidence: Evidence, splits: dict[str, dict[str, Any]]) -> Problems:
    problems = []
    for number, split_id in enumerate(evidence.ids):
        split = splits.get(split_id)
        if split is None or split["status"] != "succeeded":
            continue
        if len(split["stems"]) != 6:
            problems.append(f"{split_id} has {len(split['stems'])} stems")
        length = evidence.lengths[number % len(evidence.lengths)]
        for name, url in split["stems"].items():
            answer = httpx2.get(url, timeout=60)
            if answer.status_code != 200:
                problems.append(f"{name} of {split_id}: {answer.status_code}")
            elif (frames := len(soundfile.read(io.BytesIO(answer.content))[0])) != length:
                problems.append(f"{name} of {split_id} has {frames} samples, not {length}")
    return problems


def query_sqlite(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Query a SQLite database directly."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
    try:
        return database.execute(sql).fetchall()
    finally:
        database.close()
