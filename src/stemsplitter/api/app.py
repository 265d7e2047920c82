"""The web application: routers, errors and middleware put together."""

from fastapi import APIRouter, FastAPI

from stemsplitter import __version__
from stemsplitter.api import errors
from stemsplitter.application import Application

# every feature's endpoints; their paths are whole (`/v1/…`), so that a reader finds them by searching
ROUTERS: tuple[APIRouter, ...] = ()


def create_app(application: Application) -> FastAPI:
    """The ASGI application of a server made of ``application``'s parts."""
    app = FastAPI(
        title="Stem Splitter",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.application = application
    errors.install(app)
    for router in ROUTERS:
        app.include_router(router)
    return app
