"""Tables of jobs and their queue."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    Text,
    and_,
    bindparam,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from stemsplitter import account_ids
from stemsplitter.database import Base, UtcDateTime

QUEUED, PROCESSING, SUCCEEDED, FAILED = "queued", "processing", "succeeded", "failed"
STATUSES = (QUEUED, PROCESSING, SUCCEEDED, FAILED)
UNFINISHED = (QUEUED, PROCESSING)
PAYING, FREE, LOW = 0, 1, 2
SPLIT, ANALYSIS, EFFECT, SPEECH = "split", "analysis", "effect", "speech"
# the queue of all jobs of test keys: they neither wait for the others nor delay them
TEST_QUEUE = "test"
KINDS = (SPLIT, ANALYSIS, EFFECT, SPEECH)


def _index(name: str, *columns: str, where: str) -> Index:
    condition = text(where)
    return Index(f"ix_jobs_{name}", *columns, sqlite_where=condition, postgresql_where=condition)


class Job(Base):
    """A job of an account: a split, or the work of a tool. ``kind`` selects the subclass, which adds columns.

    ``lease`` identifies the run that may change the job while it is processing, and ``worker_id`` its worker. A run
    whose lease is no longer in the row has lost the job, because it was canceled or requeued. ``attempts`` counts the
    runs. ``trashed_at`` is set when it was deleted in a way that can be undone, and ``deleted_at`` when the files are
    deleted.

    ``model_name``, ``priority`` (PAYING before FREE before LOW) and ``turn`` are the job's place in the queue
    (:mod:`stemsplitter.jobs.queue`); ``model_name`` is that of a split's model, or the queue of a tool or of tests.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(f"status IN {STATUSES!r}", name="status"),
        CheckConstraint(f"kind IN {KINDS!r}", name="kind"),
        CheckConstraint("stem_model IN ('2s', '4s', '6s')", name="stem_model"),
        CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
        CheckConstraint("attempts >= 0", name="attempts"),
        # partial: most rows are jobs that have ended
        _index("queued", "model_name", "priority", "turn", "id", "account_id", where="status = 'queued'"),
        _index("processing", "worker_id", where="status = 'processing'"),
        _index("unfinished", "account_id", where="status IN ('queued', 'processing')"),
        _index("finished", "kind", "status", "finished_at", "id", where="finished_at IS NOT NULL"),
        _index("kept", "account_id", "kind", "created_at", "id", where="deleted_at IS NULL"),
        _index(
            "kept_by_status", "account_id", "kind", "status", "created_at", "id", where="deleted_at IS NULL"
        ),
        _index("expiring", "expires_at", where="deleted_at IS NULL"),
        _index("deleted", "deleted_at", where="deleted_at IS NOT NULL"),
        _index("trashed", "trashed_at", where="trashed_at IS NOT NULL"),
    )
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_abstract": True}  # noqa: RUF012

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), server_default=text("'split'"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    status: Mapped[str] = mapped_column(String(16), default=QUEUED)
    filename: Mapped[str] = mapped_column(Text)
    duration_seconds: Mapped[int]
    credits_used: Mapped[int]
    progress: Mapped[int] = mapped_column(default=0)
    source_key: Mapped[str] = mapped_column(Text)
    source_bytes: Mapped[int] = mapped_column(BigInteger)
    processing: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    # declarative classes reserve the name "metadata"
    user_metadata: Mapped[dict[str, str]] = mapped_column("metadata", JSON)
    webhook_url: Mapped[str | None] = mapped_column(Text)
    error_code: Mapped[str | None] = mapped_column(String(32))
    error_message: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(default=0)
    lease: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    trashed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # the reason of a server error, which only the operator sees
    cause: Mapped[str | None] = mapped_column(Text)
    model_name: Mapped[str | None] = mapped_column(String(64))
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    turn: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    worker_id: Mapped[str | None] = mapped_column(String(32))
    # W3C traceparent of the request that created it, if tracing is enabled
    trace: Mapped[str | None] = mapped_column(String(64))

    @classmethod
    def is_kept(cls) -> ColumnElement[bool]:
        """Return the condition that the account sees the job: it was not deleted."""
        return and_(cls.deleted_at.is_(None), cls.trashed_at.is_(None))

    @classmethod
    def is_live(cls) -> ColumnElement[bool]:
        """Return the condition that the job was not created with a test key."""
        return cls.model_name.is_distinct_from(TEST_QUEUE)

    @property
    def is_test(self) -> bool:
        """True if the job was created with a test key."""
        return account_ids.is_test(self.account_id)

    @property
    def input_name(self) -> str:
        """The client's name of the input; that of a test job may ask for an outcome (see ``jobs/outcomes.py``)."""
        return self.filename

    @property
    def text_bytes(self) -> int:
        """Bytes of the texts of the request and the cover, which count in the account's quota as its files do."""
        return sum(len(text.encode()) for text in self._texts()) + self._cover_bytes()

    def _cover_bytes(self) -> int:
        return 0

    def _texts(self) -> Iterator[str]:
        yield self.webhook_url or ""
        for name, value in self.user_metadata.items():
            yield name
            yield value


# Conditions of the partial indexes, with literal values: with parameters, a database cannot use the index.
IS_QUEUED = Job.status == bindparam(None, QUEUED, literal_execute=True)
IS_PROCESSING = Job.status == bindparam(None, PROCESSING, literal_execute=True)
IS_UNFINISHED = Job.status.in_(bindparam(None, UNFINISHED, expanding=True, literal_execute=True))


class JobQueue(Base):
    """Virtual time of a queue: the largest turn claimed so far. See ``jobs/queue.py``."""

    __tablename__ = "job_queues"

    model_name: Mapped[str] = mapped_column(String(64), primary_key=True)
    priority: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    clock: Mapped[int] = mapped_column(BigInteger)


class JobShare(Base):
    """Number of turns of paying accounts, while a free one waited, since the last turn of a free account. One row."""

    __tablename__ = "job_shares"

    priority: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    turns: Mapped[int] = mapped_column(BigInteger)


class JobFlow(Base):
    """Virtual end time of the last job claimed of an account. See ``jobs/queue.py``."""

    __tablename__ = "job_flows"

    model_name: Mapped[str] = mapped_column(String(64), primary_key=True)
    priority: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    end: Mapped[int] = mapped_column(BigInteger)


def outputs_folder(job_id: str) -> str:
    """Return the storage folder of what a job made for its account."""
    return f"splits/{job_id}/stems"
