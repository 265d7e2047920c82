"""Routes that the jobs of all tools have: list, get, cancel, delete, and events."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import StreamingResponse

from stemsplitter.api.dependencies import ID, CallerDep, Cursor, ServicesDep
from stemsplitter.api.documentation import documented
from stemsplitter.api.envelope import Envelope, JsonResponse, success
from stemsplitter.api.event_stream import event_stream, job_events
from stemsplitter.jobs.schemas import Status
from stemsplitter.services import Services
from stemsplitter.tool_jobs.schemas import DeletedJob
from stemsplitter.tool_jobs.service import AnyToolJobs

CREATED_AT = "2026-05-03T10:20:30.000Z"
COMMON: Mapping[str, Any] = {
    "status": "succeeded",
    "filename": "song.mp3",
    "durationSeconds": 214,
    "creditsUsed": 214,
    "createdAt": CREATED_AT,
    "updatedAt": "2026-05-03T10:20:36.512Z",
    "progress": 100,
    "expiresAt": "2026-05-10T10:20:30.000Z",
    "warnings": [],
}
JobId = Annotated[str, Path(pattern=ID)]


def failed(example: Mapping[str, Any], noun: str, **fields: Any) -> dict[str, Any]:
    """Return the example of a canceled job, from that of a job that has succeeded."""
    kept = {name: value for name, value in example.items() if name != "outputs"}
    ended: dict[str, Any] = {}
    for name, value in kept.items():
        ended[name] = value
        if name == "expiresAt":
            ended["creditsRefunded"] = example["creditsUsed"]
    message = f"The {noun} was canceled; its credits were given back."
    return ended | {
        "status": "failed",
        "progress": 40,
        "error": {"code": "CANCELED", "message": message},
        **fields,
    }


def links(name: str) -> dict[str, dict[str, str]]:
    """Return the operations that use the id of a created job called ``name``, such as ``Analysis``."""
    of_job = {"job_id": "$response.body#/data/id"}
    return {f"{verb}{name}": of_job for verb in ("get", "cancel", "delete")} | {f"stream{name}Events": of_job}


def add_job_routes(
    router: APIRouter,
    path: str,
    service: Callable[[Services], AnyToolJobs[Any, Any]],
    *,
    name: str,
    plural: str,
    view: type[Any],
    page: type[Any],
    example: Mapping[str, Any],
    canceled: Mapping[str, Any],
) -> None:
    """Add the routes of the jobs under ``path``. ``name`` and ``plural`` are used in operation ids: ``getAnalysis``."""
    noun = name.lower()

    @router.get(
        path,
        response_model=Envelope[page],  # type: ignore[valid-type]
        operation_id=f"list{plural}",
        summary=f"List {plural}",
        description=f"List {plural.lower()}, newest first.",
        openapi_extra=documented(response={"items": [example], "nextCursor": None}),
    )
    def list_jobs(
        services: ServicesDep,
        caller: CallerDep,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        cursor: Cursor = None,
        status: Status | None = None,
    ) -> JsonResponse:
        items, after = service(services).page(caller.account_id, limit=limit, cursor=cursor, status=status)
        return success(page(items=list(items), next_cursor=after))

    @router.get(
        f"{path}/{{job_id}}",
        response_model=Envelope[view],  # type: ignore[valid-type]
        operation_id=f"get{name}",
        summary=f"Get {name}",
        description=f"Get the {noun}, with its result once it has succeeded.",
        openapi_extra=documented(response=example),
    )
    def get_job(services: ServicesDep, caller: CallerDep, job_id: JobId) -> JsonResponse:
        return success(service(services).get(caller.account_id, job_id))

    @router.post(
        f"{path}/{{job_id}}/cancel",
        response_model=Envelope[view],  # type: ignore[valid-type]
        operation_id=f"cancel{name}",
        summary=f"Cancel {name}",
        description=f"Cancel the queued or running {noun}. It fails with `CANCELED`, and its credits are refunded.",
        openapi_extra=documented(response=canceled, errors=("CONFLICT",)),
    )
    def cancel_job(services: ServicesDep, caller: CallerDep, job_id: JobId) -> JsonResponse:
        return success(service(services).cancel(caller.account_id, job_id))

    @router.delete(
        f"{path}/{{job_id}}",
        response_model=Envelope[DeletedJob],
        operation_id=f"delete{name}",
        summary=f"Delete {name}",
        description=f"Delete the ended {noun} with its files.",
        openapi_extra=documented(response={"id": example["id"], "deleted": True}, errors=("CONFLICT",)),
    )
    def delete_job(services: ServicesDep, caller: CallerDep, job_id: JobId) -> JsonResponse:
        service(services).delete(caller.account_id, job_id)
        return success(DeletedJob(id=job_id))

    @router.get(
        f"{path}/{{job_id}}/events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}, "description": "Server-sent events."}},
        operation_id=f"stream{name}Events",
        summary=f"Stream {name} Events",
        description=f"Stream server-sent events: `{noun}`, with the {noun} as its data, at first and when status or "
        "progress change, until it has ended. Reconnect if the stream ends before.",
    )
    def stream_events(
        request: Request, services: ServicesDep, caller: CallerDep, job_id: JobId
    ) -> StreamingResponse:
        account_id = caller.account_id
        found = service(services).get(account_id, job_id)
        return event_stream(
            request, account_id, job_events(request.app.state.poller, account_id, noun, found)
        )
