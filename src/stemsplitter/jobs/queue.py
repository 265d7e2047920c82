"""Where jobs wait: enqueued in the transaction that makes them necessary, so that neither is without the other."""

from datetime import timedelta
from typing import Any

from dbos import DBOS, DBOSClient, EnqueueOptions
from sqlalchemy.orm import Session

APPLICATION = "stemsplitter"
# the version of the jobs' arguments and meaning, not of the program: workers take only jobs of their own version
VERSION = "1"
SPLITS = "splits"
DELIVERIES = "deliveries"


def migrate(database_url: str) -> None:
    """Make or update the tables of the durable engine. Several processes may do so at once."""
    DBOS.migrate(database_url)


class JobQueue:
    """Puts jobs into the queues. Thread-safe; one for each process; opens no connection until it needs one.

    Jobs of one account wait for each other only: a worker takes accounts in random order, so that whoever has many
    jobs holds up nobody else.
    """

    def __init__(self, database_url: str) -> None:
        # enqueueing goes over the caller's connection: its own are for looking up what became of a job
        self._client = DBOSClient(
            system_database_url=database_url,
            system_database_pool_size=1,
            application_name=APPLICATION,
            lazy=True,
        )

    def enqueue_split(self, session: Session, split_id: str, account_id: str) -> None:
        """Have a split processed, as soon as the session commits."""
        self._enqueue(session, SPLITS, split_id, account_id, split_id)

    def enqueue_delivery(
        self, session: Session, delivery_id: str, account_id: str, delay: timedelta = timedelta()
    ) -> None:
        """Have a webhook delivered, as soon as the session commits or ``delay`` later."""
        self._enqueue(session, DELIVERIES, delivery_id, account_id, delivery_id, account_id, delay=delay)

    def is_abandoned(self, split_id: str) -> bool:
        """Whether nothing will ever process this split again: its job is missing, or ended for good."""
        handles = self._client.list_workflows(workflow_ids=[split_id], load_input=False, load_output=False)
        return not any(handle.status in ("ENQUEUED", "DELAYED", "PENDING") for handle in handles)

    def close(self) -> None:
        """Close its connections."""
        self._client.destroy()

    def _enqueue(
        self,
        session: Session,
        queue: str,
        job_id: str,
        account_id: str,
        *args: Any,
        delay: timedelta = timedelta(),
    ) -> None:
        options: EnqueueOptions = {
            "workflow_name": queue,
            "queue_name": queue,
            "workflow_id": job_id,
            "queue_partition_key": account_id,
            "app_version": VERSION,
        }
        if delay:
            options["delay_seconds"] = delay.total_seconds()
        self._client.enqueue_in_transaction(session, options, *args)
