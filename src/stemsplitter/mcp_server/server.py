"""The protocol: tools with progress, over standard input and output or HTTP."""

import hmac
import re
from collections.abc import Awaitable, Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from stemsplitter.errors import RequestError, StemSplitterError
from stemsplitter.files.names import plain_name
from stemsplitter.mcp_server.folders import Folders
from stemsplitter.mcp_server.jobs import Job, Jobs, JobView, Outcome, Report
from stemsplitter.version import __version__

if TYPE_CHECKING:
    from stemsplitter.mcp_server.local import Local
    from stemsplitter.mcp_server.remote import Remote

POLL_S = 0.2
WAIT_S = 45  # many clients give up after 60 seconds
INSTRUCTIONS = (
    "Separates songs into stems, changes their pitch and speed, isolates voices, and finds key and tempo. list_songs "
    "returns the songs. A call waits up to wait_seconds; if the status is still running then, call get_result with the "
    "id. Results are new files; nothing is overwritten."
)

Format = Annotated[Literal["mp3", "wav", "flac", "ogg", "m4a"], Field(description="Format of the result.")]
Song = Annotated[str, Field(description="Path of a song, as returned by list_songs.", max_length=8192)]
Wait = Annotated[float, Field(description="Seconds to wait for the result.", ge=0, le=3600)]
Stems = Annotated[
    str,
    Field(
        description="6s (vocals, drums, bass, guitar, piano, other), 4s (vocals, drums, bass, other), 2s (vocals, "
        "instrumental), or names separated by commas, among them no_vocals, no_drums and so on."
    ),
]
Quality = Annotated[Literal["fast", "balanced", "best"] | None, Field(description="Default: fast.")]

_READS = ToolAnnotations(read_only_hint=True)
_ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False)
_URL = re.compile(r"https?://", re.IGNORECASE)

AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]


def make_server(backend: "Local | Remote", folders: Folders, jobs: Jobs) -> MCPServer[Any]:
    """Return a server whose tools run on ``backend`` and use only files in ``folders``."""
    server: MCPServer[Any] = MCPServer(
        "stemsplitter", title="Stem Splitter", version=__version__, instructions=INSTRUCTIONS
    )
    tools = _Tools(backend, folders, jobs)
    for name, annotations in (("list_songs", _READS), ("list_results", _READS), ("get_result", _READS)):
        server.tool(annotations=annotations)(getattr(tools, name))
    server.tool(annotations=_ADDS)(tools.cancel)
    for name in ("split", "analyze", "change_pitch", "change_speed", "slow_with_reverb", "isolate_voice"):
        server.tool(annotations=_ADDS)(getattr(tools, name))
    if backend.is_remote:
        server.tool(annotations=_READS)(tools.list_splits)
        server.tool(annotations=_ADDS)(tools.fetch_split)
    return server


def http_app(server: MCPServer[Any], token: str) -> AsgiApp:
    """Return an application that serves ``/mcp`` to clients that send ``token`` as a bearer token."""
    app = server.streamable_http_app()
    expected = f"Bearer {token}".encode()

    async def authorized(scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers", ()))
        given = headers.get(b"authorization", b"")
        if scope["type"] == "lifespan" or hmac.compare_digest(given, expected):
            await app(scope, receive, send)
            return
        answer = [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 401, "headers": answer})
        await send({"type": "http.response.body", "body": b""})

    return authorized


class _Tools:
    """The tools; their docstrings are read by assistants."""

    def __init__(self, backend: Any, folders: Folders, jobs: Jobs) -> None:
        self._backend, self._folders, self._jobs = backend, folders, jobs

    def list_songs(self, text: str = "") -> list[str]:
        """List the paths of up to 200 songs whose names contain a text."""
        return self._folders.songs(text)

    def list_results(self) -> list[JobView]:
        """List the calls of this server's tools, newest first, with their status and files."""
        return [job.view() for job in self._jobs.newest_first()]

    async def get_result(self, id: str, context: Context, wait_seconds: Wait = WAIT_S) -> JobView:
        """Wait for the result of an earlier call."""
        return await _follow(self._job(id), context, wait_seconds)

    def cancel(self, id: str) -> JobView:
        """Cancel a call that is still running."""
        job = self._job(id)
        job.cancel()
        return job.view()

    async def split(
        self,
        song: Song,
        context: Context,
        stems: Stems = "6s",
        format: Format = "mp3",
        quality: Quality = None,
        wait_seconds: Wait = WAIT_S,
    ) -> JobView:
        """Separate a song into stems, one file each."""

        def work(source: str, folder: Path, report: Report) -> Outcome:
            done: Outcome = self._backend.split(source, folder, stems, format, quality, report)
            return done

        return await self._run("split", song, work, context, wait_seconds)

    async def analyze(self, song: Song, context: Context, wait_seconds: Wait = WAIT_S) -> JobView:
        """Find the key, Camelot code, tuning, tempo and beats of a song."""
        source, name = self._source(song)
        job = self._jobs.start("analyze", name, lambda report: self._backend.analyze(source, report))
        return await _follow(job, context, wait_seconds)

    async def change_pitch(
        self,
        song: Song,
        semitones: Annotated[float, Field(ge=-12, le=12)],
        context: Context,
        keep_formants: Annotated[bool, Field(description="Keep the timbre of voices.")] = False,
        format: Format = "mp3",
        wait_seconds: Wait = WAIT_S,
    ) -> JobView:
        """Change the pitch of a song and keep its tempo."""
        parameters = {"semitones": semitones, "formants": keep_formants}
        return await self._transform("pitch", song, parameters, format, context, wait_seconds)

    async def change_speed(
        self,
        song: Song,
        rate: Annotated[float, Field(ge=0.25, le=4, description="2 is twice as fast; nightcore is 1.25.")],
        context: Context,
        keep_pitch: bool = False,
        format: Format = "mp3",
        wait_seconds: Wait = WAIT_S,
    ) -> JobView:
        """Change the speed of a song, and its pitch in proportion unless it is kept."""
        parameters = {"rate": rate, "keepPitch": keep_pitch}
        return await self._transform("speed", song, parameters, format, context, wait_seconds)

    async def slow_with_reverb(
        self,
        song: Song,
        context: Context,
        rate: Annotated[float, Field(ge=0.25, le=4)] = 0.85,
        decay: Annotated[float, Field(ge=0.1, le=20, description="Seconds of the reverb.")] = 2.6,
        wet: Annotated[float, Field(ge=0, le=1, description="Share of the reverb.")] = 0.25,
        format: Format = "mp3",
        wait_seconds: Wait = WAIT_S,
    ) -> JobView:
        """Slow a song down with its pitch, and add reverb."""
        parameters = {"rate": rate, "decay": decay, "wet": wet}
        return await self._transform("slowed_reverb", song, parameters, format, context, wait_seconds)

    async def isolate_voice(
        self, song: Song, context: Context, format: Format = "wav", wait_seconds: Wait = WAIT_S
    ) -> JobView:
        """Separate speech from noise in a recording: two files that add up to it."""
        return await self._transform("voice_isolator", song, {}, format, context, wait_seconds)

    def list_splits(self, limit: Annotated[int, Field(ge=1, le=100)] = 20) -> list[dict[str, Any]]:
        """List the newest splits of the account on the server."""
        try:
            splits: list[dict[str, Any]] = self._backend.list_splits(limit)
        except StemSplitterError as error:
            raise ToolError(str(error)) from error
        return splits

    async def fetch_split(
        self,
        split_id: Annotated[str, Field(description="Id of a split, as returned by list_splits.")],
        context: Context,
        wait_seconds: Wait = WAIT_S,
    ) -> JobView:
        """Wait for a split of the account and download its stems."""
        folder = self._new_folder(plain_name(split_id, "split"), "stems")
        work = lambda report: self._backend.fetch(split_id, folder, report)  # noqa: E731
        job = self._jobs.start("fetch_split", split_id, work, folder)
        return await _follow(job, context, wait_seconds)

    async def _transform(
        self,
        effect: str,
        song: str,
        parameters: dict[str, Any],
        format: str,
        context: Context,
        wait_seconds: float,
    ) -> JobView:
        def work(source: str, folder: Path, report: Report) -> Outcome:
            done: Outcome = self._backend.transform(source, folder, effect, parameters, format, report)
            return done

        return await self._run(effect, song, work, context, wait_seconds)

    async def _run(
        self,
        tool: str,
        song: str,
        work: Callable[[str, Path, Report], Outcome],
        context: Context,
        wait_seconds: float,
    ) -> JobView:
        source, name = self._source(song)
        folder = self._new_folder(name, tool.replace("_", " "))
        job = self._jobs.start(tool, name, lambda report: work(source, folder, report), folder)
        return await _follow(job, context, wait_seconds)

    def _source(self, song: str) -> tuple[str, str]:
        """Return the path or URL of a song, and its name without its extension."""
        if self._backend.is_remote and _URL.match(song):
            name = plain_name(unquote(urlsplit(song).path), "song")
            return song, PurePosixPath(name).stem
        try:
            path = self._folders.song(song)
        except RequestError as error:
            raise ToolError(str(error)) from error
        return str(path), path.stem

    def _new_folder(self, name: str, what: str) -> Path:
        try:
            return self._folders.new(name, what)
        except StemSplitterError as error:
            raise ToolError(str(error)) from error

    def _job(self, job_id: str) -> Job:
        if (job := self._jobs.find(job_id)) is None:
            raise ToolError(f"There is no result {job_id}: call list_results.")
        return job


async def _follow(job: Job, context: Context, wait_seconds: float) -> JobView:
    """Report the progress of a job until it ends, for so many seconds. A call that its client cancels cancels it."""
    told = -1.0
    try:
        with anyio.move_on_after(wait_seconds):
            while not job.is_ended:
                if job.progress > told:
                    told = job.progress
                    await context.report_progress(told, 1.0, f"{job.tool}: {told:.0%}")
                await anyio.sleep(POLL_S)
    except anyio.get_cancelled_exc_class():
        job.cancel()
        raise
    if job.error is not None:
        raise ToolError(job.error)
    return job.view()
