"""Tools that run on a Stem Splitter server, with its client library."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import stemsplitter_client as sdk

from stemsplitter.errors import RequestError, StemSplitterError, Stopped
from stemsplitter.library.server import stems_of
from stemsplitter.mcp_server.jobs import Outcome, Report

WAIT_S = 24 * 3600.0
UPLOAD = 0.2  # share of the progress
_LEFT_OUT = (
    "stems",
    "outputs",
    "error",
    "status",
    "progress",
)  # links, and what the job of this server tells
_URL = re.compile(r"https?://", re.IGNORECASE)


class ServerError(StemSplitterError):
    """The server refused a request, or cannot be reached."""


class Remote:
    """Tools on a server. Calls may overlap."""

    concurrent = 4
    is_remote = True

    def __init__(self, key: str, url: str) -> None:
        self._client = sdk.StemSplitter(key, base_url=url)

    def split(
        self, song: str, folder: Path, stems: str, format: str, quality: str | None, report: Report
    ) -> Outcome:
        """Separate a song into ``folder``. ``song`` is a path, or a URL that the server downloads.

        Raises:
            ServerError: the server refused a request, the split failed, or the server cannot be reached.
        """
        options = stems_of(stems)
        if quality is not None:
            options["quality"] = quality
        with _Errors():
            request = {"input": self._input(song, report), "outputFormat": format, **options}
            return self._done(self._client.splits, request, folder, report)

    def analyze(self, song: str, report: Report) -> Outcome:
        """Analyze key, tuning and tempo of a song."""
        with _Errors():
            request = {"input": self._input(song, report)}
            return self._done(self._client.analyses, request, None, report)

    def transform(
        self, song: str, folder: Path, effect: str, parameters: dict[str, Any], format: str, report: Report
    ) -> Outcome:
        """Change pitch or speed of a song, or isolate its voice."""
        with _Errors():
            request: dict[str, Any] = {"input": self._input(song, report), "effect": effect}
            if parameters:
                request["parameters"] = parameters
            return self._done(self._client.effects, {**request, "outputFormat": format}, folder, report)

    def fetch(self, split_id: str, folder: Path, report: Report) -> Outcome:
        """Wait for a split of the account and download its stems."""
        with _Errors():
            splits = self._client.splits
            split = splits.wait(split_id, timeout=WAIT_S, on_update=_updates(report, 0))
            return _fetched(splits, split, folder)

    def list_splits(self, limit: int) -> list[dict[str, Any]]:
        """Return the newest splits of the account."""
        kept = ("id", "filename", "status", "progress", "durationSeconds", "createdAt", "expiresAt")
        with _Errors():
            splits = self._client.splits.list(limit=limit)["items"]
            return [{name: split[name] for name in kept} for split in splits]

    def _input(self, song: str, report: Report) -> dict[str, Any]:
        if _URL.match(song):
            return {"type": "direct_url", "url": song}
        upload = self._client.upload_file(
            song, on_progress=lambda sent, size: report(UPLOAD * sent / max(size, 1))
        )
        found: dict[str, Any] = upload["input"]
        return found

    def _done(self, jobs: sdk.Jobs, request: dict[str, Any], folder: Path | None, report: Report) -> Outcome:
        """Create a job, wait for its end and download its files into ``folder``, if there is one."""
        created = jobs.create(request)
        try:
            job = jobs.wait(created["id"], timeout=WAIT_S, on_update=_updates(report, UPLOAD))
        except Stopped:
            jobs.cancel(created["id"])
            raise
        return _fetched(jobs, job, folder)


def _fetched(jobs: sdk.Jobs, job: dict[str, Any], folder: Path | None) -> Outcome:
    if job["status"] == "failed":
        raise ServerError(f"{job['id']} failed: {job['error']['message']}")
    files = jobs.download(job, folder) if folder is not None else {}
    return Outcome(dict(files), {name: value for name, value in job.items() if name not in _LEFT_OUT})


def _updates(report: Report, first: float) -> Callable[[dict[str, Any]], None]:
    return lambda split: report(first + (1 - first) * (split.get("progress") or 0) / 100)


class _Errors:
    """Turns errors of the client library into those that are shown to users."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sdk.ConfigError):
            raise RequestError(str(error)) from error
        if isinstance(error, sdk.StemSplitterError):
            raise ServerError(str(error)) from error
