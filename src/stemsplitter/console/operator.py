"""Operator pages: queue, processes, failures and storage."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from stemsplitter.api.dependencies import Cursor, ServicesDep
from stemsplitter.clock import now
from stemsplitter.console import access
from stemsplitter.console.rendering import page
from stemsplitter.health import statistics
from stemsplitter.splits import repository
from stemsplitter.worker import heartbeat

PAGE = 25
QUEUE_LENGTH = 50
FAILURE_PERIOD = timedelta(days=7)
STORAGE_SECONDS = 10.0

router = APIRouter(prefix="/operator", dependencies=[Depends(access.operator)])


@router.get("")
def overview(request: Request, services: ServicesDep) -> Response:
    """Show the queue and the processes."""
    at, lease_s = now(), services.settings.lease_seconds
    with services.database.read() as session:
        figures = statistics.read(session, at, lease_s)
        queue = repository.unfinished(session, QUEUE_LENGTH)
        processes = heartbeat.all_processes(session)
        living = heartbeat.live_processes(session, timedelta(seconds=lease_s))
        failed = repository.failures_by_code(session, at - timedelta(days=1))
        emails = services.accounts.emails(session, {split.account_id for split in queue})
    return page(
        request,
        "operator.html",
        at=at,
        figures=figures,
        queue=queue,
        processes=processes,
        living=living,
        failed=sum(failed.values()),
        emails=emails,
    )


@router.get("/failures")
def failures(
    request: Request,
    services: ServicesDep,
    cursor: Cursor = None,
    code: Annotated[str | None, Query(pattern=r"^[0-9A-Z_]{1,32}$")] = None,
) -> Response:
    """List failed splits with the error shown to the account and its cause."""
    with services.database.read() as session:
        found, after = repository.failed(session, limit=PAGE, cursor=cursor, code=code)
        by_code = repository.failures_by_code(session, now() - FAILURE_PERIOD)
        emails = services.accounts.emails(session, {split.account_id for split in found})
    return page(
        request,
        "operator_failures.html",
        splits=found,
        by_code=by_code,
        code=code,
        cursor=cursor,
        after=after,
        emails=emails,
    )


@router.get("/storage")
def storage(request: Request, services: ServicesDep) -> Response:
    """Show the size of the stored files."""
    usage = services.storage.usage(STORAGE_SECONDS)
    return page(request, "operator_storage.html", usage=usage, seconds=STORAGE_SECONDS)
