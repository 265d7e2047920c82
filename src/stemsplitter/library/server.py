"""A server as a run over a library uses it: requests that wait for it, and what they ask for and return."""

import re
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.errors import AudioError, RequestError, Stopped
from stemsplitter.library.tasks import LibrarySettings, pause_before
from stemsplitter.separation.layouts import LAYOUTS

try:
    import stemsplitter_client as sdk
except ImportError as error:
    raise RequestError("A server needs its client library: run `pip install stemsplitter-client`.") from error

__all__ = [
    "STOP_S",
    "TASK",
    "Json",
    "Server",
    "fields_of",
    "level_of",
    "message_of",
    "request_of",
    "sdk",
    "stems_of",
]

Json = dict[str, Any]
Result = TypeVar("Result")

GIVE_UP_S = 900.0
"""Time for a server that does not answer, or refuses every song for the moment, before the run ends."""

TASK = "task"  # in the metadata of a split: the digest of its task
STOP_S = 1.5
"""Time for requests that cancel splits, when a run stops."""

_IN_ORDER = ("queued", "processing", "succeeded")  # so that no split is missed that goes on meanwhile
_UNAVAILABLE = (502, 503, 504)


class Server:
    """A server, and the account of an API key. Thread-safe.

    Waits end with Stopped once ``stopping`` is set.

    Raises:
        RequestError: it cannot be reached, or refuses the key.
    """

    def __init__(self, url: str, key: str, stopping: threading.Event) -> None:
        self._url, self._stopping = url, stopping
        self._answered = 0.0
        try:
            self.client = sdk.StemSplitter(key, base_url=url, sleep=self.sleep)
            self.client.get_credits()
        except sdk.AuthenticationError as error:
            raise self._refused_key() from error
        except sdk.ConfigError as error:
            raise RequestError(error.message) from error
        except sdk.ConnectionFailed as error:
            raise RequestError(f"No server answers at {url}: start it, or correct the address.") from error
        except (sdk.StemSplitterError, ValueError) as error:
            raise RequestError(
                f"{url} is not a server ({message_of(error)}): correct the address."
            ) from error

    def call(self, call: Callable[[], Result]) -> Result:
        """Return the result of a request, which is repeated while the server does not answer or has no room.

        Raises:
            AudioError: the account has no space for the song.
            RequestError: that took too long, or every song would be refused.
        """
        began, tries = time.monotonic(), 1
        while True:
            try:
                result = call()
            except sdk.AuthenticationError as error:
                raise self._refused_key() from error
            except sdk.InsufficientCredits as error:
                raise RequestError(f"The account has too few credits. {error.message}") from error
            except (sdk.ConnectionFailed, sdk.RateLimited, sdk.Conflict, sdk.ServerError) as error:
                if not _may_pass(error):
                    raise
                if time.monotonic() - max(began, self._answered) > GIVE_UP_S:
                    if isinstance(error, sdk.Conflict):
                        raise AudioError(error.message) from error  # it does not fit in the account
                    raise RequestError(
                        f"{self._url} has taken no song for {GIVE_UP_S / 60:.0f} minutes ({error.message}): run this "
                        "again with --skip-existing when it does."
                    ) from error
                tries += 1
                self.sleep(max(pause_before(tries), error.retry_after or 0))
            else:
                self._answered = time.monotonic()
                return result

    def splits_of_tasks(self) -> dict[str, str]:
        """Return the splits of tasks that have not failed, by the digests of the tasks."""
        return {
            split["metadata"][TASK]: split["id"]
            for status in _IN_ORDER
            for split in self.client.splits.iterate(status=status)
            if TASK in split["metadata"]
        }

    def cancel(self, split_ids: Iterable[str]) -> None:
        """Cancel splits, as many as that is possible without a wait."""
        quick = sdk.StemSplitter(
            self.client.api_key, base_url=self.client.base_url, timeout=STOP_S, max_retries=0
        )
        for split_id in split_ids:
            try:
                quick.splits.cancel(split_id)
            except sdk.ConnectionFailed:
                return
            except sdk.StemSplitterError:
                continue  # it has ended

    def sleep(self, seconds: float) -> None:
        """Wait a number of seconds. Raises Stopped."""
        if self._stopping.wait(seconds):
            raise Stopped("The run was stopped.")

    def _refused_key(self) -> RequestError:
        return RequestError(
            f"{self._url} does not accept the API key: set STEMSPLITTER_KEY to one of its keys."
        )


def _may_pass(error: sdk.StemSplitterError) -> bool:
    """Return True if the same request may succeed later."""
    if isinstance(error, sdk.Conflict):  # in progress, or the account's files use all its space
        return error.retry_after is not None or "usedBytes" in str(error.details)
    return not isinstance(error, sdk.ServerError) or error.status_code in _UNAVAILABLE


def refused_settings(settings: LibrarySettings) -> list[str]:
    """Return the names of the settings that a server does not take."""
    default = LibrarySettings()
    names = ("model", "rate", "overlap", "shifts", "device", "precision", "threads", "verify")
    return [name for name in names if getattr(settings, name) != getattr(default, name)]


def request_of(settings: LibrarySettings) -> Json:
    """Return the request of a split without its song. Raises RequestError for settings that a server does not take."""
    if refused := refused_settings(settings):
        raise RequestError(f"A server does not take the settings {', '.join(refused)}: leave them out.")
    fmt = OutputFormat.parse(settings.format)
    if fmt.bitrate != fmt.entry.default_bitrate:
        raise RequestError(f"A server chooses the bit rate itself: give the format {fmt.container}.")
    request: Json = {"priority": "low", "outputFormat": fmt.container}
    if fmt.depth:
        request["bitDepth"] = fmt.depth
    if settings.stems is not None:
        request |= stems_of(settings.stems)
    if settings.instruments is not None:
        request["instruments"] = _names(settings.instruments)
    if settings.quality is not None:
        request["quality"] = settings.quality
    return request


def stems_of(stems: str) -> Json:
    """Return the fields of a request for a layout, or for the names of stems."""
    return {"stemModel": stems} if stems in LAYOUTS else {"stems": _names(stems)}


def fields_of(split: Json, files: dict[str, Path]) -> Json:
    """Return what a manifest has of a finished split besides its files; a server does not tell the rest."""
    with open_source(next(iter(files.values()))) as stem:
        info = stem.info
    model, processing = split["model"], split["processing"]
    used = [model, *([model["vocalsFrom"]] if "vocalsFrom" in model else [])]
    seconds = info.seconds or split["durationSeconds"]
    return {
        "model": model["name"],
        "models": [{"name": each["name"], "licence": each["licence"]} for each in used],
        "device": processing["device"],
        "sample_rate": info.sample_rate,
        "seconds": round(seconds, 3),
        "elapsed": round(processing["seconds"], 3),
        "speed": round(seconds / max(processing["seconds"], 1e-3), 2),
        "warnings": [],
        "analysis": split.get("analysis"),
        "split": split["id"],
    }


def level_of(split: Json, name: str) -> Json:
    """Return the level of a stem as a manifest has it; nothing if the server has not measured it."""
    level = split.get("levels", {}).get(name)
    return {} if level is None else {"loudness": level["loudness"], "true_peak": level["truePeak"]}


def message_of(error: Exception) -> str:
    """Return the message of an error, without the code of an error of the client library."""
    return str(getattr(error, "message", error))


def _names(names: str) -> list[str]:
    return re.split(r"[, ]+", names.strip())
