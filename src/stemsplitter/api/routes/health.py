"""Health checks of the process: ``/healthz`` (liveness) and ``/readyz`` (readiness)."""

import logging
from typing import Any

from fastapi import APIRouter
from sqlalchemy.exc import SQLAlchemyError

from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.api.envelope import JsonResponse
from stemsplitter.database.problems import tables_missing
from stemsplitter.migrations.upgrade import missing_tables
from stemsplitter.services import Services

_log = logging.getLogger(__name__)
router = APIRouter()


@router.get("/healthz", include_in_schema=False)
async def healthz() -> JsonResponse:
    """Return 200 while the process is running."""
    return JsonResponse({"status": "ok"})


@router.get("/readyz", include_in_schema=False)
def readyz(services: ServicesDep) -> JsonResponse:
    """Return 200 if the database and the file storage are available and the disk can be written, else 503, the failed
    checks and their reasons."""
    problems = {
        "database": _database_problem(services),
        "storage": "" if services.health.is_storage_available() else "The file storage does not answer.",
        "disk": services.disk.problem(),
    }
    reasons = {name: problem for name, problem in problems.items() if problem}
    content: dict[str, Any] = {
        "status": "unavailable" if reasons else "ok",
        "checks": {name: "failed" if problem else "ok" for name, problem in problems.items()},
    }
    if reasons:
        content["reasons"] = reasons
    return JsonResponse(content, status_code=503 if reasons else 200)


def _database_problem(services: Services) -> str:
    try:
        with services.database.read() as session:
            missing = missing_tables(session.connection())
    except SQLAlchemyError:
        _log.exception("database is unavailable")
        return "The database does not answer."
    return str(tables_missing(missing)) if missing else ""
