"""Pages that create a split: the general form and one page per tool."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import JSONResponse, Response

from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.audio.formats import variants
from stemsplitter.catalogue.qualities import QUALITIES, quality_times
from stemsplitter.console.access import SignedInDep, see_other
from stemsplitter.console.errors import wants_page
from stemsplitter.console.rendering import page
from stemsplitter.console.tasks import METADATA, TASKS, Task, find_task
from stemsplitter.console.tools import TOOLS
from stemsplitter.links import is_link
from stemsplitter.separation.layouts import LAYOUTS as STEMS
from stemsplitter.separation.layouts import SIX_STEMS
from stemsplitter.service_errors import NotFound, ServiceError, ValidationFailed
from stemsplitter.services import Services
from stemsplitter.splits.model_selection import better_layouts, ready_layouts
from stemsplitter.splits.schemas import CreateSplit
from stemsplitter.uploads.schemas import UploadRequest

router = APIRouter()

LAYOUT_NAMES = tuple(STEMS)
FORMATS = {fmt.choice: fmt for fmt in variants()}

# file types offered by the browser's file dialog, which knows few of those that FFmpeg reads
SONGS = "audio/*,video/*,.flac,.opus,.mka,.mkv,.aiff,.aif,.wv,.ape"

_Text = Annotated[str, Form(max_length=8192)]
_Names = Annotated[Sequence[str], Form(max_length=len(SIX_STEMS))]


@router.get("/new")
def new_split(request: Request, services: ServicesDep, signed_in: SignedInDep) -> Response:
    """Show the form."""
    return _form(request, services, None)


def add_task_pages(router: APIRouter, tasks: Iterable[Task]) -> None:
    """Add the page of each task to ``router``."""
    for task in tasks:
        router.add_api_route(f"/{task.slug}", _task_page(task), methods=["GET"])


def _task_page(task: Task) -> Any:
    def show(request: Request, services: ServicesDep) -> Response:
        return _form(request, services, task)

    return show


add_task_pages(router, TASKS)


@router.post("/new/upload")
def reserve(services: ServicesDep, signed_in: SignedInDep, body: UploadRequest) -> Response:
    """Reserve an upload for the script of the form."""
    return reserve_upload(services, signed_in.account.id, body)


@router.post("/new")
def create(
    request: Request,
    services: ServicesDep,
    signed_in: SignedInDep,
    format: _Text = "mp3",
    layout: _Text = "6s",
    quality: _Text = "",
    task: _Text = "",
    url: _Text = "",
    upload_id: _Text = "",
    storage_key: _Text = "",
    webhook_url: _Text = "",
    instruments: _Names = (),
) -> Response:
    """Create the split. Redirect to its page; a script gets the location as JSON."""
    chosen = find_task(task)
    try:
        if task and chosen is None:
            raise NotFound(f"There is no tool {task}.")
        source = source_of(services, url.strip(), upload_id, storage_key)
        wanted = _wanted(
            source,
            chosen.layout if chosen else layout,
            quality,
            format,
            chosen,
            webhook_url.strip(),
            list(instruments),
        )
        created = services.splits.create(signed_in.account.id, wanted, lambda *_: None)
    except ServiceError as error:
        if not wants_page(request):
            raise
        return _form(
            request, services, chosen, url=url, webhook_url=webhook_url, instruments=instruments, error=error
        )
    location = f"/splits/{created['id']}"
    return see_other(location) if wants_page(request) else JSONResponse({"location": location})


def reserve_upload(services: Services, account_id: str, body: UploadRequest) -> Response:
    """Reserve an upload for a script, which then sends the file to ``path``.

    Raises:
        ValidationFailed, QuotaExceeded, Busy: as :meth:`UploadService.reserve`.
    """
    with services.database.write() as session:
        upload, token = services.uploads.reserve(
            session, account_id, body.filename, body.content_type, body.content_length
        )
    # a path, as the page may be open under another host name of this server
    return JSONResponse({"uploadId": upload.id, "path": f"/uploads/{upload.id}", "token": token})


def source_of(services: Services, url: str, upload_id: str, storage_key: str) -> dict[str, str]:
    """Return the ``input`` of a request from the fields of a form. Raises ValidationFailed."""
    if upload_id:
        return {
            "type": "uploaded_file",
            "uploadId": upload_id,
            "fileUrl": services.uploads.url(upload_id),
            "storageKey": storage_key,
        }
    if not url:
        raise ValidationFailed("Choose a file or enter a URL.", param="url")
    return {"type": "link" if is_link(url) else "direct_url", "url": url}


def _wanted(
    source: dict[str, str],
    layout: str,
    quality: str,
    format: str,
    task: Task | None,
    webhook_url: str,
    instruments: list[str],
) -> CreateSplit:
    if format not in FORMATS or layout not in LAYOUT_NAMES:
        raise ValidationFailed("Choose the stems and a format from the list.")
    if not set(instruments) <= set(SIX_STEMS):
        raise ValidationFailed("Choose the instruments from the list.", param="instruments")
    if quality not in ("", *QUALITIES):
        raise ValidationFailed("Choose the quality from the list.", param="quality")
    chosen = FORMATS[format]
    body = {
        "input": source,
        "stemModel": layout,
        "quality": quality or None,
        "outputFormat": chosen.container,
        "bitDepth": chosen.depth or None,
        "instruments": instruments or None,
        "webhookUrl": webhook_url or None,
        "metadata": {METADATA: task.slug} if task else {},
    }
    try:
        return CreateSplit.model_validate(body)
    except ValueError as error:
        raise ValidationFailed(
            "The source is invalid: choose the file again or correct the URL.", param="url"
        ) from error


def _form(
    request: Request,
    services: Services,
    task: Task | None,
    *,
    url: str = "",
    webhook_url: str = "",
    instruments: Sequence[str] = (),
    error: ServiceError | None = None,
) -> Response:
    return page(
        request,
        "task.html" if task else "new_split.html",
        status=error.status if error else 200,
        task=task,
        others=[other for other in TASKS if other is not task],
        more=TOOLS,
        url=url,
        webhook_url=webhook_url,
        instruments=instruments,
        error=str(error) if error else "",
        **choices(services),
    )


def choices(services: Services) -> dict[str, Any]:
    """Return the choices of the form: layouts, those with a model and with a better one, formats and instruments;
    ``times`` has the seconds of processing for a second of audio by layout and quality.
    """
    return {
        "layouts": STEMS.items(),
        "ready": ready_layouts(services.settings, services.models),
        "better": better_layouts(services.models),
        "times": {
            name: quality_times(stems, services.models, services.settings.device)
            for name, stems in STEMS.items()
        },
        "formats": FORMATS,
        "songs": SONGS,
        "most": services.settings.max_source_bytes,
        "links": services.links.is_on,
        "names": SIX_STEMS,
    }
