"""Operator page for models: licenses, availability and downloads."""

import socket
from contextlib import suppress
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.console import access
from stemsplitter.console.access import see_other
from stemsplitter.console.rendering import page
from stemsplitter.errors import ModelError, SettingsError
from stemsplitter.separation.layouts import LAYOUTS
from stemsplitter.service_errors import NotFound, ValidationFailed
from stemsplitter.services import Services
from stemsplitter.splits.model_selection import model_for
from stemsplitter.worker import heartbeat

router = APIRouter(prefix="/operator/models", dependencies=[Depends(access.operator)])


@router.get("")
def models(request: Request, services: ServicesDep) -> Response:
    """List the models with their licenses and availability."""
    store, error = services.models, ""
    try:
        entries = [(entry, store.is_ready(entry.name)) for entry in store.entries()]
    except ModelError as broken:
        entries, error = [], str(broken)
    with services.database.read() as session:
        living = heartbeat.live_workers(session, timedelta(seconds=services.settings.lease_seconds))
        workers = [process for process in heartbeat.all_processes(session) if process.id in living]
    on = {
        entry.name: sorted({worker.host for worker in workers if entry.name in worker.models})
        for entry, _ in entries
    }
    return page(
        request,
        "operator_models.html",
        entries=entries,
        pulls={entry.name: services.pulls.find(entry.name) for entry, ready in entries if not ready},
        used=_used(services),
        on=on,
        elsewhere=sorted({worker.host for worker in workers} - {socket.gethostname()}),
        root=str(store.root),
        error=error,
    )


@router.post("/{name}/pull")
def pull(services: ServicesDep, name: Annotated[str, Path(max_length=100)]) -> Response:
    """Start the download of a model; the page shows its progress."""
    try:
        services.pulls.start(name)
    except ModelError as error:
        raise NotFound(str(error)) from error
    return see_other("/operator/models")


def _used(services: Services) -> dict[str, list[str]]:
    """Map the name of each model to the layouts it is used for."""
    used: dict[str, list[str]] = {}
    for layout in LAYOUTS:
        with suppress(ValidationFailed, SettingsError, ModelError):
            entry = model_for(layout, services.settings, services.models)
            used.setdefault(entry.name, []).append(layout)
    return used
