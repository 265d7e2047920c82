from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from stemsplitter.database import Database
from stemsplitter.jobs import JobQueue, migrate


@pytest.fixture
def queue(database: Database) -> Iterator[JobQueue]:
    migrate(database.url)
    queue = JobQueue(database.url)
    yield queue
    queue.close()


def table(database: Database) -> str:
    """Where the durable engine keeps jobs; on PostgreSQL, in a schema of its own."""
    return "workflow_status" if database.is_sqlite else "dbos.workflow_status"


def jobs(database: Database) -> list[tuple[str, ...]]:
    with database.read() as session:
        query = text(
            f"SELECT workflow_uuid, name, queue_partition_key, status FROM {table(database)} ORDER BY 1"
        )
        return [tuple(row) for row in session.execute(query)]


def test_a_job_comes_with_the_transaction(database: Database, queue: JobQueue) -> None:
    with database.write() as session:
        queue.enqueue_split(session, "split_1", "acc_1")
        queue.enqueue_delivery(session, "dlv_1", "acc_1")
        queue.enqueue_delivery(session, "dlv_2", "acc_2", timedelta(minutes=5))
    assert jobs(database) == [
        ("dlv_1", "deliveries", "acc_1", "ENQUEUED"),
        ("dlv_2", "deliveries", "acc_2", "DELAYED"),
        ("split_1", "splits", "acc_1", "ENQUEUED"),
    ]


def test_no_job_without_the_transaction(database: Database, queue: JobQueue) -> None:
    with pytest.raises(RuntimeError), database.write() as session:
        queue.enqueue_split(session, "split_1", "acc_1")
        raise RuntimeError
    assert jobs(database) == []


def test_a_job_is_abandoned_when_nothing_will_run_it(database: Database, queue: JobQueue) -> None:
    with database.write() as session:
        queue.enqueue_split(session, "split_1", "acc_1")
    assert not queue.is_abandoned("split_1")
    with database.write() as session:
        session.execute(text(f"UPDATE {table(database)} SET status = 'ERROR'"))
    assert queue.is_abandoned("split_1")
    assert queue.is_abandoned("split_2")


def test_migrating_again_changes_nothing(database: Database, queue: JobQueue) -> None:
    with database.write() as session:
        queue.enqueue_split(session, "split_1", "acc_1")
    migrate(database.url)
    assert len(jobs(database)) == 1
