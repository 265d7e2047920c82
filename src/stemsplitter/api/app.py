"""The web application: routers, errors and middleware put together."""

from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig

from stemsplitter import __version__
from stemsplitter.api import errors, health, metrics, models, reference
from stemsplitter.api.access import Access, Faults
from stemsplitter.api.admission import Admission
from stemsplitter.application import Application
from stemsplitter.console import routers as console
from stemsplitter.console.headers import SecurityHeaders
from stemsplitter.credits import endpoints as credits_endpoints
from stemsplitter.payments import endpoints as payments_endpoints
from stemsplitter.splits import endpoints as splits_endpoints
from stemsplitter.storage import endpoints as storage_endpoints
from stemsplitter.uploads import endpoints as uploads_endpoints
from stemsplitter.webhooks import endpoints as webhooks_endpoints

# every feature's endpoints; their paths are whole (`/v1/…`), so that a reader finds them by searching
ROUTERS: tuple[APIRouter, ...] = (
    splits_endpoints.router,
    uploads_endpoints.router,
    credits_endpoints.router,
    models.router,
    webhooks_endpoints.router,
    payments_endpoints.router,
    storage_endpoints.router,
    reference.router,
    health.router,
    metrics.router,
)
# the framework's own would tell whole paths, and those of files hold signatures: see stemsplitter.tracing
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def create_app(application: Application) -> FastAPI:
    """The ASGI application of a server made of ``application``'s parts."""
    app = FastAPI(
        title="Stem Splitter",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
    )
    application.prepare()
    app.state.application = application
    errors.install(app)
    for router in ROUTERS:
        app.include_router(router)
    console.install(app)
    app.state.routes = [route for router in (*ROUTERS, *console.ROUTERS) for route in router.routes]
    # from the inside out; the inner answer to a fault still gets the headers of admission
    app.add_middleware(Faults)
    app.add_middleware(Admission, application=application)
    app.add_middleware(Faults)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Access)
    return app
