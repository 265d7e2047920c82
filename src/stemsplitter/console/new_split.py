"""Pages that begin a split: the plain one, and one for each ready-made task."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import JSONResponse, Response

from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.audio.formats import variants
from stemsplitter.console.access import SignedInDep, see_other
from stemsplitter.console.errors import wants_page
from stemsplitter.console.rendering import page
from stemsplitter.console.tasks import METADATA, TASKS, Task, find_task
from stemsplitter.service_errors import NotFound, ServiceError, ValidationFailed
from stemsplitter.services import Services
from stemsplitter.splits.model_selection import ready_layouts
from stemsplitter.splits.schemas import CreateSplit
from stemsplitter.uploads.schemas import UploadRequest

router = APIRouter()

LAYOUTS = (
    ("6s", "Six stems", "vocals, drums, bass, guitar, piano, other"),
    ("4s", "Four stems", "vocals, drums, bass, other"),
    ("2s", "Two stems", "vocals and the instrumental"),
)
FORMATS = {fmt.choice: fmt for fmt in variants()}

# what a browser offers first when a file is chosen: it knows few of the types that FFmpeg reads
SONGS = "audio/*,video/*,.flac,.opus,.mka,.mkv,.aiff,.aif,.wv,.ape"

_Text = Annotated[str, Form(max_length=8192)]


@router.get("/new")
def new_split(request: Request, services: ServicesDep, signed_in: SignedInDep) -> Response:
    """Choose a song and what to take out of it."""
    return _form(request, services, None)


def _task_page(task: Task) -> Any:
    def show(request: Request, services: ServicesDep) -> Response:
        return _form(request, services, task)

    return show


for _task in TASKS:
    router.add_api_route(f"/{_task.slug}", _task_page(_task), methods=["GET"])


@router.post("/new/upload")
def reserve(services: ServicesDep, signed_in: SignedInDep, body: UploadRequest) -> Response:
    """Reserve an upload for the form's script, which then sends the file to ``path``."""
    services.rate_limits.check(signed_in.account.id, "create")
    with services.database.write() as session:
        upload, token = services.uploads.reserve(
            session, signed_in.account.id, body.filename, body.content_type, body.content_length
        )
    # a path: the page may have been opened by another name of this server
    return JSONResponse({"uploadId": upload.id, "path": f"/uploads/{upload.id}", "token": token})


@router.post("/new")
def create(
    request: Request,
    services: ServicesDep,
    signed_in: SignedInDep,
    format: _Text = "mp3",
    layout: _Text = "6s",
    task: _Text = "",
    url: _Text = "",
    upload_id: _Text = "",
    storage_key: _Text = "",
    webhook_url: _Text = "",
) -> Response:
    """Make the split, and go to its page. A script is told where that is."""
    chosen = find_task(task)
    try:
        if task and chosen is None:
            raise NotFound(f"There is no task {task}.")
        source = _source(services, url.strip(), upload_id, storage_key)
        wanted = _wanted(source, chosen.layout if chosen else layout, format, chosen, webhook_url.strip())
        services.rate_limits.check(signed_in.account.id, "create")
        created = services.splits.create(signed_in.account.id, wanted, lambda *_: None)
    except ServiceError as error:
        if not wants_page(request):
            raise
        return _form(request, services, chosen, url=url, webhook_url=webhook_url, error=error)
    location = f"/splits/{created['id']}"
    return see_other(location) if wants_page(request) else JSONResponse({"location": location})


def _source(services: Services, url: str, upload_id: str, storage_key: str) -> dict[str, str]:
    if upload_id:
        return {
            "type": "uploaded_file",
            "uploadId": upload_id,
            "fileUrl": services.uploads.url(upload_id),
            "storageKey": storage_key,
        }
    if not url:
        raise ValidationFailed("Choose a file, or give a link to one.", param="url")
    return {"type": "direct_url", "url": url}


def _wanted(
    source: dict[str, str], layout: str, format: str, task: Task | None, webhook_url: str
) -> CreateSplit:
    if format not in FORMATS or layout not in dict.fromkeys(name for name, *_ in LAYOUTS):
        raise ValidationFailed("Choose the stems and a format of the list.")
    chosen = FORMATS[format]
    body = {
        "input": source,
        "stemModel": layout,
        "outputFormat": chosen.container,
        "bitDepth": chosen.depth or None,
        "webhookUrl": webhook_url or None,
        "metadata": {METADATA: task.slug} if task else {},
    }
    try:
        return CreateSplit.model_validate(body)
    except ValueError as error:
        raise ValidationFailed(
            "This is no song: choose the file again, or correct the link.", param="url"
        ) from error


def _form(
    request: Request,
    services: Services,
    task: Task | None,
    *,
    url: str = "",
    webhook_url: str = "",
    error: ServiceError | None = None,
) -> Response:
    ready = ready_layouts(services.settings, services.models)
    return page(
        request,
        "task.html" if task else "new_split.html",
        status=error.status if error else 200,
        task=task,
        others=[other for other in TASKS if other is not task],
        url=url,
        webhook_url=webhook_url,
        error=str(error) if error else "",
        **choices(ready),
    )


def choices(ready: Sequence[str]) -> dict[str, Any]:
    """What the form offers: the layouts, those that this server can give, and the formats."""
    return {"layouts": LAYOUTS, "ready": ready, "formats": FORMATS, "songs": SONGS}
