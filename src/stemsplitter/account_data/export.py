"""Export of an account: one JSON document, streamed."""

import json
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Column, Table, select

from stemsplitter import account_ids
from stemsplitter.accounts.models import Account, ApiKey, WebhookSecret
from stemsplitter.api_requests.models import ApiRequest
from stemsplitter.credits.models import LedgerEntry
from stemsplitter.database import Base, Database
from stemsplitter.jobs.models import Job
from stemsplitter.payments.models import Payment
from stemsplitter.sessions.models import BrowserSession
from stemsplitter.shares.models import ShareLink
from stemsplitter.uploads.models import Upload
from stemsplitter.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookEvent

ROWS = 500  # of a query

# name in the document → table and columns; hashes, secrets and what only the server uses are left out
PARTS: Final[dict[str, tuple[type[Base], tuple[str, ...]]]] = {
    "account": (
        Account,
        (
            "id",
            "email",
            "name",
            "role",
            "balance",
            "created_at",
            "verified_at",
            "mail_done",
            "mail_low_credits",
            "language",
        ),
    ),
    "apiKeys": (ApiKey, ("id", "name", "prefix", "created_at", "last_used_at", "revoked_at")),
    "apiRequests": (ApiRequest, ("key_id", "at", "method", "path", "status", "request_id", "ms")),
    "webhookSecrets": (WebhookSecret, ("id", "endpoint_id", "prefix", "created_at", "expires_at")),
    "webhookEndpoints": (
        WebhookEndpoint,
        (
            "id", "url", "description", "events", "failing_since", "disabled_at", "disabled_reason", "created_at",
            "updated_at",
        ),
    ),
    "sessions": (BrowserSession, ("created_at", "last_seen_at", "expires_at")),
    "ledger": (LedgerEntry, ("id", "kind", "amount", "split_id", "note", "created_at")),
    "payments": (Payment, ("id", "status", "credits", "amount", "currency", "created_at", "updated_at")),
    "jobs": (
        Job,
        (
            "id", "kind", "status", "filename", "title", "artist", "duration_seconds", "credits_used", "source_bytes",
            "metadata", "webhook_url", "error_code", "error_message", "stem_model", "requested_stems", "instruments",
            "output_format", "model", "levels", "analysis", "parameters", "created_at", "started_at",
            "finished_at", "expires_at", "deleted_at",
        ),
    ),
    "shareLinks": (ShareLink, ("id", "split_id", "created_at", "expires_at")),
    "uploads": (Upload, ("id", "filename", "content_type", "content_length", "status", "created_at")),
    "webhookEvents": (WebhookEvent, ("id", "kind", "payload", "created_at")),
    "webhookDeliveries": (
        WebhookDelivery,
        ("id", "event_id", "endpoint_id", "url", "status", "attempts", "last_status", "last_error", "created_at"),
    ),
}  # fmt: skip


def stream_export(database: Database, account_id: str) -> Iterator[str]:
    """Yield the document: an object with a list for each of :data:`PARTS`. Each query is a transaction of its own.

    What test keys have created is marked with ``"test": true``.
    """
    opening = "{"
    for name, (model, columns) in PARTS.items():
        yield f"{opening}\n{json.dumps(name)}: ["
        comma = ""
        for row in _rows(database, model, columns, account_id):
            yield comma + "\n" + json.dumps(row, default=_text, ensure_ascii=False)
            comma = ","
        yield "\n]"
        opening = ","
    yield "\n}\n"


def _rows(
    database: Database, model: type[Base], columns: tuple[str, ...], account_id: str
) -> Iterator[dict[str, Any]]:
    table = model.__table__
    assert isinstance(table, Table)
    key: Column[Any] = next(iter(table.primary_key.columns))
    owner = table.c.id if model is Account else table.c.account_id
    accounts = (account_id,) if model is Account else account_ids.both(account_id)
    chosen = (key.label("_key"), owner.label("_owner"), *(table.c[name] for name in columns))
    query = select(*chosen).where(owner.in_(accounts))
    after = None
    while True:
        page = query.order_by(key).limit(ROWS)
        with database.read() as session:
            rows = session.execute(page if after is None else page.where(key > after)).mappings().all()
        for row in rows:
            mark = {"test": True} if account_ids.is_test(row["_owner"]) else {}
            yield {_camel(name): row[name] for name in columns} | mark
        if len(rows) < ROWS:
            return
        after = rows[-1]["_key"]


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _text(value: object) -> str:
    assert isinstance(value, date | datetime)
    return value.isoformat().replace("+00:00", "Z")
