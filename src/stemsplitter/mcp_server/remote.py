"""Tools that run on a Stem Splitter server, with its client library."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import stemsplitter_client as sdk

from stemsplitter.errors import RequestError, StemSplitterError, Stopped
from stemsplitter.mcp_server.jobs import Outcome, Report

WAIT_S = 24 * 3600.0
UPLOAD = 0.2  # share of the progress
LAYOUTS = ("2s", "4s", "6s")
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
        options: dict[str, Any] = (
            {"stemModel": stems} if stems in LAYOUTS else {"stems": re.split(r"[, ]+", stems.strip())}
        )
        if quality is not None:
            options["quality"] = quality
        with _Errors():
            request = {"input": self._input(song, report), "outputFormat": format, **options}
            split = self._client.create_split(request)
            split = self._wait(split["id"], report)
            return self._fetched(split, folder)

    def fetch(self, split_id: str, folder: Path, report: Report) -> Outcome:
        """Wait for a split of the account and download its stems."""
        with _Errors():
            split = self._client.wait_for_split(split_id, timeout=WAIT_S, on_update=_updates(report, 0))
            return self._fetched(split, folder)

    def list_splits(self, limit: int) -> list[dict[str, Any]]:
        """Return the newest splits of the account."""
        kept = ("id", "filename", "status", "progress", "durationSeconds", "createdAt", "expiresAt")
        with _Errors():
            return [
                {name: split[name] for name in kept}
                for split in self._client.list_splits(limit=limit)["items"]
            ]

    def _input(self, song: str, report: Report) -> dict[str, Any]:
        if _URL.match(song):
            return {"type": "direct_url", "url": song}
        upload = self._client.upload_file(
            song, on_progress=lambda sent, size: report(UPLOAD * sent / max(size, 1))
        )
        found: dict[str, Any] = upload["input"]
        return found

    def _wait(self, split_id: str, report: Report) -> dict[str, Any]:
        try:
            return self._client.wait_for_split(split_id, timeout=WAIT_S, on_update=_updates(report, UPLOAD))
        except Stopped:
            self._client.cancel_split(split_id)
            raise

    def _fetched(self, split: dict[str, Any], folder: Path) -> Outcome:
        if split["status"] == "failed":
            raise ServerError(f"The split {split['id']} failed: {split['error']['message']}")
        files = self._client.download_stems(split, folder)
        details = {name: split.get(name) for name in ("id", "durationSeconds", "creditsUsed", "model")}
        return Outcome(dict(files), details)


def _updates(report: Report, first: float) -> Callable[[dict[str, Any]], None]:
    return lambda split: report(first + (1 - first) * split["progress"] / 100)


class _Errors:
    """Turns errors of the client library into those that are shown to users."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sdk.ConfigError):
            raise RequestError(str(error)) from error
        if isinstance(error, sdk.StemSplitterError):
            raise ServerError(str(error)) from error
