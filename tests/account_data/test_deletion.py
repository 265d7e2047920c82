"""Deletion and export of accounts."""

import json
from typing import Any

import pytest
from sqlalchemy import func, select

from stemsplitter.account_data.deletion import DELETED, ROWS
from stemsplitter.account_data.export import ROWS as PAGE
from stemsplitter.account_data.export import stream_export
from stemsplitter.accounts.models import Account, ApiKey
from stemsplitter.clock import now
from stemsplitter.credits.models import LedgerEntry
from stemsplitter.database import Base
from stemsplitter.jobs.models import Job
from stemsplitter.migrations import tables
from stemsplitter.service_errors import Conflict, NotFound, Unauthorized
from stemsplitter.services import Services
from stemsplitter.splits.maintenance import SplitMaintenance
from stemsplitter.tool_jobs.models import SpeechJob
from stemsplitter.uploads.models import Upload
from stemsplitter.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEvent
from tests.services import authenticate, services, settings, upload_file
from tests.splits.rows import new_split

__all__ = ["services", "settings", "tables"]

EMAIL, SECRET = "maria@example.org", "a very private text"
# tables of accounts whose rows stay: for accounting, or until maintenance has deleted their files
KEPT = {
    "accounts",
    "derived_files",
    "job_flows",
    "jobs",
    "ledger_entries",
    "payments",
    "stored_bytes",
    "uploads",
}
CASCADES = {"webhook_deliveries"}


@pytest.fixture
def account(services: Services) -> str:
    """An account with something in every table."""
    with services.database.write() as session:
        account = services.accounts.create_account(session, EMAIL, "hash", name="Maria").id
        services.accounts.create_key(session, account, "laptop")
        services.sessions.begin(session, account)
        services.sessions.make_link(session, account)
        services.address_proofs.make_link(session, account, "new@example.org")
        services.webhook_secrets.create_secret(session, account)
        services.webhooks.send_test(session, account, f"https://example.org/{SECRET}")
        for values in (
            {"status": "succeeded", "finished_at": now()},
            {"status": "queued", "webhook_url": "https://example.org/hook"},
        ):
            texts = dict.fromkeys(("filename", "title", "artist", "error_message"), SECRET)
            split = new_split(account, user_metadata={"a": SECRET}, **texts, **values)
            split.source_key = f"splits/{split.id}/source.mp3"
            session.add(split)
            session.flush()
            services.credits.hold(session, account, split.id, 10)
            services.quotas.reserve(session, account, split.id, 1)
        session.add(
            SpeechJob(
                id="speech_1", account_id=account, status="failed", filename="", duration_seconds=1, source_key="",
                credits_used=0, source_bytes=0, user_metadata={}, parameters={"text": SECRET}, created_at=now(),
                updated_at=now(), expires_at=now(), finished_at=now(),
            )
        )  # fmt: skip
    upload_file(services, account, f"{SECRET}.flac", b"fLaC" + bytes(100))
    for split in splits(services):
        services.storage.put_stream(split.source_key, [b"song"], "")
    return account


def splits(services: Services) -> list[Any]:
    with services.database.read() as session:
        return list(session.scalars(select(Job).where(Job.kind == "split").order_by(Job.created_at)))


def dump(services: Services) -> str:
    """Return all rows of the database as text."""
    with services.database.read() as session:
        return "\n".join(
            f"{table.name} {row}"
            for table in Base.metadata.sorted_tables
            for row in session.execute(select(table))
        )


def test_deletion_leaves_the_ledger_and_nothing_personal(services: Services, account: str) -> None:
    before = dump(services)
    assert EMAIL in before and SECRET in before and "Maria" in before
    services.account_deletion.delete(account)
    maintenance = SplitMaintenance(
        services.database, services.storage, services.splits, services.derived_files, services.quotas
    )
    assert maintenance.delete_expired() == 3
    assert services.uploads.delete_expired() == 1
    after = dump(services)
    assert all(text not in after for text in (EMAIL, SECRET, "Maria", "laptop", "new@example.org"))
    assert list(services.storage.list_prefix("")) == []
    with services.database.read() as session:
        kinds = session.scalars(
            select(LedgerEntry.kind).order_by(LedgerEntry.created_at, LedgerEntry.id)
        ).all()
        assert sorted(kinds) == ["grant", "hold", "hold", "release"]
        assert services.credits.audit(session) == []
        for table in (*ROWS, WebhookDelivery, WebhookAttempt, Upload):
            assert session.scalar(select(func.count()).select_from(table)) == 0, table
        assert session.scalars(select(Account.email)).one() == f"{DELETED}{account}"
        assert session.scalars(select(WebhookEvent)).all() == []
    assert all(split.deleted_at for split in splits(services))
    with pytest.raises(NotFound):
        services.account_deletion.delete(account)


def test_keys_and_password_of_a_deleted_account_stop(services: Services, account: str) -> None:
    with services.database.write() as session:
        _, key = services.accounts.create_key(session, account, "")
        token = services.sessions.begin(session, account)
    services.account_deletion.delete(account)
    assert services.sessions.find(token) is None
    with pytest.raises(Unauthorized):
        authenticate(services.accounts, services.database, key)
    # the address is free again, and the new account has nothing of the old one
    with services.database.write() as session:
        assert services.accounts.create_account(session, EMAIL).id != account
        assert session.scalars(select(ApiKey)).all() == []


@pytest.fixture
def of_tests(services: Services, account: str) -> str:
    """The test account of the account, with a split, an upload and an event."""
    test_account = services.accounts.test_account(account)
    with services.database.write() as session:
        session.add(new_split(test_account, status="succeeded", finished_at=now(), filename=SECRET))
        services.webhooks.send_test(session, test_account, f"https://example.org/{SECRET}")
    upload_file(services, test_account, f"{SECRET}.flac", b"fLaC" + bytes(100))
    return test_account


def test_deletion_and_export_have_what_test_keys_created(
    services: Services, account: str, of_tests: str
) -> None:
    made = json.loads("".join(stream_export(services.database, account)))
    marked = {name: [row for row in rows if row.get("test")] for name, rows in made.items()}
    assert {name for name, rows in marked.items() if rows} == {
        "jobs", "uploads", "webhookEvents", "webhookDeliveries"
    }  # fmt: skip
    assert all(len(made[name]) > len(rows) for name, rows in marked.items() if rows)
    assert [row["email"] for row in made["account"]] == [EMAIL]
    with pytest.raises(NotFound):
        services.account_deletion.delete(of_tests)
    services.account_deletion.delete(account)
    after = dump(services)
    assert all(text not in after for text in (EMAIL, SECRET))
    with services.database.read() as session:
        assert session.scalars(select(WebhookEvent)).all() == []


def test_every_table_of_accounts_is_deleted_or_kept_on_purpose() -> None:
    owned = {
        table.name
        for table in Base.metadata.sorted_tables
        if any(key.column.table.name == "accounts" for key in table.foreign_keys)
    }
    deleted = {table.__tablename__ for table in ROWS}
    assert owned | {"accounts"} == deleted | CASCADES | KEPT


def test_last_operator_stays(services: Services) -> None:
    with services.database.write() as session:
        first, second = (
            services.accounts.create_account(session, f"{name}@example.org", role="operator").id
            for name in "ab"
        )
    services.account_deletion.delete(first)
    with pytest.raises(Conflict, match="only operator"):
        services.account_deletion.delete(second)


def test_export_has_the_data_of_the_account_without_secrets(
    services: Services, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stemsplitter.account_data.export.ROWS", 2)
    assert PAGE > 2
    with services.database.write() as session:
        other = services.accounts.create_account(session, "other@example.org").id
        for _ in range(3):
            services.accounts.create_key(session, account, "more")
    document = "".join(stream_export(services.database, account))
    made = json.loads(document)
    assert other not in document and "hash" not in document and "splits/" not in document
    (own,) = made["account"]
    assert (own["email"], own["balance"], own["createdAt"][-1]) == (EMAIL, 580, "Z")
    assert [key["name"] for key in made["apiKeys"]] == ["laptop", "more", "more", "more"]
    assert [job["kind"] for job in made["jobs"]] == ["speech", "split", "split"]
    assert made["jobs"][0]["parameters"] == {"text": SECRET}
    assert made["jobs"][1]["metadata"] == {"a": SECRET}
    assert len(made["ledger"]) == 3 and len(made["uploads"]) == len(made["webhookDeliveries"]) == 1
    assert made["payments"] == []
