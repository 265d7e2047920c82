"""Pages of the tools with jobs of their own: the form, the progress and the result."""

import threading
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from pydantic import TypeAdapter, ValidationError
from starlette.responses import JSONResponse, Response

from stemsplitter.api.dependencies import ID, ServicesDep
from stemsplitter.api.downloads import PRIVATE, download_response, file_response
from stemsplitter.audio.formats import FORMATS
from stemsplitter.console.access import SignedInDep, see_other
from stemsplitter.console.errors import wants_page
from stemsplitter.console.new_split import SONGS, reserve_upload, source_of
from stemsplitter.console.rendering import page
from stemsplitter.console.tool_access import (
    MAX_VISITOR_BYTES,
    ToolDep,
    ToolUserDep,
    count,
    is_open,
)
from stemsplitter.console.tool_access import METADATA as VISITOR
from stemsplitter.console.tools import TOOLS, Tool
from stemsplitter.files.temporary import temporary_folder
from stemsplitter.jobs.models import SUCCEEDED, UNFINISHED
from stemsplitter.languages import formats, ngettext
from stemsplitter.languages import gettext as _
from stemsplitter.service_errors import NotFound, ServiceError, ValidationFailed
from stemsplitter.services import Services
from stemsplitter.sizes import size
from stemsplitter.storage.errors import FileMissing
from stemsplitter.tool_jobs.schemas import MAX_TEXT, CreateAnalysis, CreateEffect, CreateSpeech
from stemsplitter.tools.speaking import speak
from stemsplitter.tools.transformations import SPEED_PRESETS
from stemsplitter.uploads.schemas import UploadRequest

router = APIRouter()

METADATA = "tool"  # key in the metadata of a job that holds the slug of its page
RECENT = 5  # results shown below a form
_SEARCHED = 25  # jobs among which they are looked for
_SAMPLE = "This is how I sound. Listen, and choose the voice that suits your text."
_REQUESTS: dict[str, TypeAdapter[Any]] = {
    "analyses": TypeAdapter(CreateAnalysis),
    "effects": TypeAdapter(CreateEffect),
    "speech": TypeAdapter(CreateSpeech),
}
_speaking = threading.Lock()


async def _fields(request: Request) -> dict[str, str]:
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


FieldsDep = Annotated[Mapping[str, str], Depends(_fields)]
JobId = Annotated[str, Path(pattern=ID)]


@router.get("/tools/{slug}")
def show_tool(request: Request, services: ServicesDep, tool: ToolDep) -> Response:
    """Show the form."""
    return _form(request, services, tool, {})


@router.post("/tools/{slug}/upload")
def reserve(
    request: Request, services: ServicesDep, user: ToolUserDep, tool: ToolDep, body: UploadRequest
) -> Response:
    """Reserve an upload for the script of the form."""
    if user.visitor:
        count(request, services, "uploads")
        if body.content_length > MAX_VISITOR_BYTES:
            raise ValidationFailed(
                f"Without an account a file may have {size(MAX_VISITOR_BYTES)}: sign in, or choose a smaller one."
            )
    return reserve_upload(services, user.account_id, body)


@router.post("/tools/{slug}")
def create(
    request: Request, services: ServicesDep, user: ToolUserDep, tool: ToolDep, fields: FieldsDep
) -> Response:
    """Create a job. Redirect to its page; a script gets the location as JSON."""
    try:
        metadata = {METADATA: tool.slug}
        if user.visitor:
            count(request, services, tool.kind)
            metadata[VISITOR] = user.visitor
        wanted = _request(services, tool, fields, metadata)
        jobs = _jobs(services, tool)
        create = jobs.create_for_visitor if user.visitor else jobs.create
        created = create(user.account_id, wanted, lambda *_: None)
    except ServiceError as error:
        if not wants_page(request):
            raise
        return _form(request, services, tool, fields, error)
    location = f"{tool.path}/{created['id']}"
    response = see_other(location) if wants_page(request) else JSONResponse({"location": location})
    return user.keep(request, response)


@router.get("/tools/voice-over/voices/{name}")
def hear_voice(services: ServicesDep, signed_in: SignedInDep, name: str) -> Response:
    """Return a sentence in a voice, as an MP3."""
    if name not in [voice.name for voice in services.speech.voices()]:
        raise NotFound("There is no such voice.")
    with _speaking:
        sample = _spoken(name)
    return Response(sample, media_type="audio/mpeg", headers={"Cache-Control": "private, max-age=3600"})


@router.get("/tools/{slug}/{job_id}")
def show_job(
    request: Request, services: ServicesDep, user: ToolUserDep, tool: ToolDep, job_id: JobId
) -> Response:
    """Show a job: progress, error or result."""
    job = _jobs(services, tool).get(user.account_id, job_id)
    user.check(job.metadata)
    return page(
        request,
        "tool_job.html",
        headers={"Cache-Control": "no-store"},
        indexed=False,
        tool=tool,
        job=job,
        is_unfinished=job.status in UNFINISHED,
    )


@router.post("/tools/{slug}/{job_id}/cancel")
def cancel(services: ServicesDep, signed_in: SignedInDep, tool: ToolDep, job_id: JobId) -> Response:
    """Cancel a queued or running job."""
    _jobs(services, tool).cancel(signed_in.account.id, job_id)
    return see_other(f"{tool.path}/{job_id}")


@router.post("/tools/{slug}/{job_id}/delete")
def delete(services: ServicesDep, signed_in: SignedInDep, tool: ToolDep, job_id: JobId) -> Response:
    """Delete an ended job."""
    _jobs(services, tool).delete(signed_in.account.id, job_id)
    return see_other(tool.path)


@router.get("/tools/{slug}/{job_id}/{use}/{name}")
def get_file(
    request: Request,
    services: ServicesDep,
    user: ToolUserDep,
    tool: ToolDep,
    job_id: JobId,
    use: str,
    name: str,
) -> Response:
    """Return a file of a job: ``use`` is ``play``, or ``files`` to download it. ``source`` is what it was made from."""
    send = {"play": file_response, "files": download_response}.get(use)
    if user.visitor:
        user.check(_jobs(services, tool).get(user.account_id, job_id).metadata)
    found = _jobs(services, tool).files(user.account_id, job_id).get(name)
    if send is None or found is None:
        raise NotFound("There is no such file.")
    try:
        return send(request, services.storage, found.key, found.mime, found.filename, caching=PRIVATE)
    except FileMissing as error:
        raise NotFound("This file has been deleted.") from error


def _jobs(services: Services, tool: Tool) -> Any:
    """Return the service of a tool's jobs: all have the same methods, and requests and views of their own."""
    return getattr(services, tool.kind)


def _request(services: Services, tool: Tool, fields: Mapping[str, str], metadata: dict[str, str]) -> Any:
    """Return the request of a job. Raises ValidationFailed."""
    body = tool.request({field.name: field.read(fields.get(field.name)) for field in tool.fields})
    if tool.kind == "speech":
        if not fields.get("text", "").strip():
            raise ValidationFailed("Enter a text.", param="text")
        body |= {"text": fields["text"], "voice": fields.get("voice", "")}
    else:
        url, upload = fields.get("url", "").strip(), fields.get("upload_id", "")
        body["input"] = source_of(services, url, upload, fields.get("storage_key", ""))
    if tool.kind != "analyses":
        body["outputFormat"] = fields.get("format", "mp3")
    try:
        return _REQUESTS[tool.kind].validate_python(body | {"metadata": metadata})
    except ValidationError as error:
        raise ValidationFailed(_problem(error)) from error


def _problem(error: ValidationError) -> str:
    places = {part for found in error.errors() for part in found["loc"]}
    if "text" in places:
        text = _("The text is longer than %(number)s characters: shorten it, or speak it in parts.")
        return text % {"number": formats.count(MAX_TEXT)}
    if "outputFormat" in places:
        return _("Choose a format from the list.")
    return _("The source is invalid: choose the file again or correct the URL.")


def _form(
    request: Request,
    services: Services,
    tool: Tool,
    values: Mapping[str, str],
    error: ServiceError | None = None,
) -> Response:
    signed_in = request.state.signed_in
    recent: list[Any] = []
    if signed_in is not None:
        found, _ = _jobs(services, tool).page(signed_in.account.id, limit=_SEARCHED, cursor=None, status=None)
        recent = [job for job in found if job.metadata.get(METADATA) == tool.slug][:RECENT]
    return page(
        request,
        "tool.html",
        status=error.status if error else 200,
        tool=tool,
        others=[other for other in TOOLS if other is not tool],
        values=values,
        url=values.get("url", ""),
        error=str(error) if error else "",
        formats=FORMATS,
        rates=SPEED_PRESETS,
        songs=SONGS,
        links=services.links.is_on,
        voices=services.speech.voices() if tool.kind == "speech" else [],
        max_text=MAX_TEXT,
        recent=recent,
        price=_price(services, tool),
        is_open=is_open(services, tool),
        most=services.settings.max_source_bytes
        if signed_in
        else min(services.settings.max_source_bytes, MAX_VISITOR_BYTES),
        succeeded=SUCCEEDED,
    )


def _price(services: Services, tool: Tool) -> str:
    settings = services.settings
    if tool.kind == "speech":
        number = settings.speech_characters_per_credit
        text = ngettext("1 credit per character.", "1 credit per %(number)s characters.", number)
    else:
        number = (
            settings.analysis_seconds_per_credit
            if tool.kind == "analyses"
            else settings.effect_seconds_per_credit
        )
        text = ngettext("1 credit per second.", "1 credit per %(number)s seconds.", number)
    return text % {"number": number}


@cache
def _spoken(voice: str) -> bytes:
    with temporary_folder() as folder:
        return speak(_SAMPLE, folder / "voice.mp3", voice=voice, format="mp3").path.read_bytes()
