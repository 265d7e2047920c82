"""The ASGI application: routers, errors and middleware."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.routing import BaseRoute

from stemsplitter.api import errors
from stemsplitter.api.description import files
from stemsplitter.api.event_stream import JobKey, JobPoller, OpenStreams, Views
from stemsplitter.api.middleware.admission import Admission
from stemsplitter.api.middleware.cors import Cors
from stemsplitter.api.middleware.head import Head
from stemsplitter.api.middleware.places import THREADS, Places
from stemsplitter.api.middleware.request_log import RequestLog, UnexpectedErrors
from stemsplitter.api.routes import analyses, effects, health, metrics, models, speech, upload_url
from stemsplitter.api.routes import credits as credits_endpoints
from stemsplitter.api.routes import files as storage_endpoints
from stemsplitter.api.routes import split_files as split_files_endpoints
from stemsplitter.api.routes import split_playback as split_playback_endpoints
from stemsplitter.api.routes import splits as splits_endpoints
from stemsplitter.api.routes import stripe as payments_endpoints
from stemsplitter.api.routes import uploads as uploads_endpoints
from stemsplitter.api.routes import webhook_endpoints as saved_webhook_endpoints
from stemsplitter.api.routes import webhooks as webhooks_endpoints
from stemsplitter.api.upload_body import UPLOADS_PER_ACCOUNT
from stemsplitter.console import routers as console
from stemsplitter.console.cookies import COOKIE
from stemsplitter.console.headers import SecurityHeaders
from stemsplitter.services import Services
from stemsplitter.tool_jobs.service import read_views
from stemsplitter.version import __version__

# all endpoints; their paths are complete (`/v1/…`), so that a search finds them
ROUTERS: tuple[APIRouter, ...] = (
    splits_endpoints.router,
    split_files_endpoints.router,
    split_playback_endpoints.router,
    analyses.router,
    effects.router,
    speech.router,
    uploads_endpoints.router,
    upload_url.router,
    credits_endpoints.router,
    models.router,
    webhooks_endpoints.router,
    saved_webhook_endpoints.router,
    payments_endpoints.router,
    storage_endpoints.router,
    files.router,
    health.router,
    metrics.router,
)
MAX_JOBS = 1000  # in one statement of the poll for event streams
# the framework's telemetry records whole paths, and those of files contain signatures: see stemsplitter.tracing
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


def _read_jobs(services: Services, keys: Collection[JobKey]) -> Views:
    views: dict[JobKey, Any] = {}
    ordered = sorted(keys)
    with services.database.read() as session:
        for start in range(0, len(ordered), MAX_JOBS):
            some = ordered[start : start + MAX_JOBS]
            views |= services.splits.get_all(session, some)
            views |= read_views(session, services.analyses.endings, [key for key in some if key not in views])
    return views


@cache
def _routes() -> list[BaseRoute]:
    """Return all routes, which applications share: the framework takes 0.2 seconds to complete them."""
    router = APIRouter()
    for each in ROUTERS:
        router.include_router(each)
    console.include(router)
    return router.routes


def create_app(services: Services) -> FastAPI:
    """Create the ASGI application of a server."""
    app = FastAPI(
        title="Stem Splitter",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        routes=_routes(),
        telemetry=NO_TELEMETRY,
        lifespan=_lifespan,
    )
    services.prepare()
    app.state.services = services
    app.state.open_streams = OpenStreams(services.settings.max_event_streams)
    app.state.open_uploads = OpenStreams(UPLOADS_PER_ACCOUNT, "uploads")
    app.state.places = Places()
    app.state.poller = JobPoller(lambda keys: _read_jobs(services, keys))
    errors.install(app)
    console.install(app)
    app.state.routes = [route for router in (*ROUTERS, *console.ROUTERS) for route in router.routes]
    # innermost first; the inner response to a fault still gets the headers of admission
    app.add_middleware(Head)
    app.add_middleware(UnexpectedErrors)
    app.add_middleware(Admission, services=services, session_cookie=COOKIE, places=app.state.places)
    app.add_middleware(UnexpectedErrors)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Cors, origins=services.settings.cors_origins)
    app.add_middleware(RequestLog)
    return app
