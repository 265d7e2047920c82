"""Jobs of workers that died, given to those that live; and the engine's own records, cleared away in time."""

import logging
from collections.abc import Callable, Collection
from datetime import timedelta

from dbos import DBOS, DBOSClient

from stemsplitter.database import now

KEPT = timedelta(days=1)
BATCH = 500

_log = logging.getLogger(__name__)


def reap(living: Callable[[], Collection[str]]) -> list[str]:
    """Put the running jobs of all executors but the ``living`` back into their queues; returns the jobs' ids.

    What is running is read before who lives, and each job is read again before it is put back: a worker that begins,
    or takes a job, meanwhile is not robbed.
    """
    running = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
    alive = set(living())
    reaped = []
    for job in running:
        if job.executor_id in alive:
            continue
        again = DBOS.get_workflow_status(job.workflow_id)
        if again is None or (again.status, again.executor_id) != ("PENDING", job.executor_id):
            continue
        _log.warning("job %s of the dead worker %s is given to another", job.workflow_id, job.executor_id)
        DBOS.resume_workflow(job.workflow_id, queue_name=job.queue_name)
        reaped.append(job.workflow_id)
    return reaped


def hand_back(client: DBOSClient, executor_id: str) -> list[str]:
    """Put the running jobs of an executor that ends back into their queues; returns the jobs' ids."""
    running = client.list_workflows(
        status="PENDING", executor_id=executor_id, load_input=False, load_output=False
    )
    for job in running:
        client.resume_workflow(job.workflow_id, queue_name=job.queue_name)
    return [job.workflow_id for job in running]


def forget_finished() -> int:
    """Delete the engine's records of jobs that ended a day ago; returns how many, at most a batch."""
    ended = DBOS.list_workflows(
        status=["SUCCESS", "ERROR", "CANCELLED"],
        completed_before=(now() - KEPT).isoformat(),
        limit=BATCH,
        load_input=False,
        load_output=False,
    )
    if ended:
        DBOS.delete_workflows([job.workflow_id for job in ended])
    return len(ended)
