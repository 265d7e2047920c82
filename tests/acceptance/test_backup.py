"""A server is backed up while it runs, deleted and restored, and continues."""

import shutil
import sqlite3
from pathlib import Path

import httpx2
import pytest

from .api_client import ApiClient
from .server import Server

LEDGER = "SELECT * FROM ledger_entries ORDER BY id"


def _stems(api: ApiClient, split_id: str) -> dict[str, bytes]:
    stems = api.wait_for_end(split_id)["stems"]
    return {name: httpx2.get(url, timeout=60).content for name, url in stems.items()}


def _rows(database: Path, query: str) -> list[tuple[object, ...]]:
    opened = sqlite3.connect(database)
    try:
        return opened.execute(query).fetchall()
    finally:
        opened.close()


@pytest.mark.timeout(600)  # two starts and five splits are slow on a busy machine
def test_restored_server_finishes_its_splits(tmp_path: Path, song: Path) -> None:
    server = Server(tmp_path, database_url="", storage_url="")
    server.start()
    key = server.new_key("a@example.org")
    backup = tmp_path / "backup"
    try:
        with ApiClient(server, key) as api:
            done = api.create_split(song)["id"]
            stems = _stems(api, done)
            unfinished = [api.create_split(song)["id"] for _ in range(3)]  # running and queued
            server.command("backup", str(backup))
            after = api.create_split(song)["id"]
    finally:
        server.stop()
    ledger = _rows(backup / "stemsplitter.db", LEDGER)
    shutil.rmtree(tmp_path / "data")

    server.command("restore", str(backup))
    assert _rows(server.database, LEDGER) == ledger
    server.start()
    try:
        with ApiClient(server, key) as api:
            assert _stems(api, done) == stems and all(stems.values())
            assert {api.wait_for_end(each)["status"] for each in unfinished} == {"succeeded"}
            assert api("GET", f"/audio/splits/{after}").status_code == 404
        now = _rows(server.database, LEDGER)
        counts = (
            "SELECT split_id, kind, count(*) FROM ledger_entries WHERE split_id IS NOT NULL GROUP BY 1, 2"
        )
        ends = _rows(server.database, counts)
    finally:
        server.stop()
    assert [entry for entry in now if entry in ledger] == ledger
    assert sorted(ends) == sorted(
        (each, kind, 1) for each in (done, *unfinished) for kind in ("hold", "settle")
    )
    assert server.command("credits", "audit") == "Every balance equals the sum of its ledger."
