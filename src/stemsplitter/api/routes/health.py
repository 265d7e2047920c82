"""Health checks of the process: ``/healthz`` (liveness) and ``/readyz`` (readiness)."""

import logging

from fastapi import APIRouter
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.api.envelope import JsonResponse
from stemsplitter.services import Services

_log = logging.getLogger(__name__)
router = APIRouter()


@router.get("/healthz", include_in_schema=False)
async def healthz() -> JsonResponse:
    """Return 200 while the process is running."""
    return JsonResponse({"status": "ok"})


@router.get("/readyz", include_in_schema=False)
def readyz(services: ServicesDep) -> JsonResponse:
    """Return 200 if database and file storage are available, else 503 and the failed checks."""
    checks = {
        "database": _is_database_available(services),
        "storage": services.health.is_storage_available(),
    }
    ready = all(checks.values())
    return JsonResponse(
        {
            "status": "ok" if ready else "unavailable",
            "checks": {k: "ok" if v else "failed" for k, v in checks.items()},
        },
        status_code=200 if ready else 503,
    )


def _is_database_available(services: Services) -> bool:
    try:
        with services.database.read() as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError:
        _log.exception("database is unavailable")
        return False
    return True
