"""What the operator of the server looks at: queue, processes, files, failures."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from stemsplitter.api.dependencies import Cursor, ServicesDep
from stemsplitter.clock import now
from stemsplitter.console import access
from stemsplitter.console.rendering import page
from stemsplitter.health import statistics
from stemsplitter.splits import queries
from stemsplitter.worker import heartbeat

PAGE = 25
QUEUE = 50
COUNTED = timedelta(days=7)
STORAGE_SECONDS = 10.0

router = APIRouter(prefix="/operator", dependencies=[Depends(access.operator)])


@router.get("")
def overview(request: Request, services: ServicesDep) -> Response:
    """The queue and the server's processes, now."""
    at, lease_s = now(), services.settings.lease_seconds
    with services.database.read() as session:
        figures = statistics.read(session, at, lease_s)
        queue = queries.queue(session, QUEUE)
        processes = heartbeat.known_processes(session)
        living = heartbeat.living_processes(session, timedelta(seconds=lease_s))
        failed = queries.failures_by_code(session, at - timedelta(days=1))
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
    """Splits that failed, and why: what their owners were told, and what the server met."""
    with services.database.read() as session:
        found, after = queries.failures(session, limit=PAGE, cursor=cursor, code=code)
        by_code = queries.failures_by_code(session, now() - COUNTED)
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
    """What the files take."""
    usage = services.storage.usage(STORAGE_SECONDS)
    return page(request, "operator_storage.html", usage=usage, seconds=STORAGE_SECONDS)
